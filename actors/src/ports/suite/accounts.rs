//! What every adapter of [`Accounts`] must do.

use futures::future::join_all;

use super::fresh;
use crate::access::user::{User, UserRole};
use crate::ports::accounts::Accounts;

/// Runs every case. Leaves two users behind.
pub async fn accounts(accounts: &dyn Accounts) {
    let user = only_the_first_user_of_a_name_is_stored(accounts).await;
    a_password_is_changed_once(accounts, user).await;
}

async fn only_the_first_user_of_a_name_is_stored(accounts: &dyn Accounts) -> User {
    let name = format!("user ' é {}", fresh());
    let rivals: Vec<User> = (0..8).map(|n| User::first_admin(&name, format!("$2b$10${n}"))).collect();
    assert_eq!(accounts.user(&name).await.expect("read"), None);
    let answers = join_all(rivals.iter().map(|rival| accounts.insert_user(rival))).await;
    let won: Vec<&User> = rivals
        .iter()
        .zip(answers)
        .filter_map(|(rival, answer)| answer.expect("insert").then_some(rival))
        .collect();
    let winner = accounts.user(&name).await.expect("read").expect("one of them is stored");
    assert_eq!(won, [&winner], "and was told so, nobody else");
    let another = User::first_admin(&format!("{name} 2"), String::new());
    assert!(accounts.insert_user(&another).await.expect("insert"), "another name");
    assert_eq!(winner.roles, [UserRole::Admin, UserRole::User]);
    let other_case = winner.username.to_uppercase();
    assert_eq!(accounts.user(&other_case).await.expect("read"), None, "letter case counts");
    winner
}

async fn a_password_is_changed_once(accounts: &dyn Accounts, user: User) {
    let name = &user.username;
    let hashes: Vec<String> = (0..8).map(|n| format!("$2b$10$new{n}")).collect();
    let many = hashes.iter().map(|to| accounts.change_password(name, &user.password_hash, to));
    let answers: Vec<bool> = join_all(many).await.into_iter().map(|answer| answer.expect("change")).collect();
    let won: Vec<&String> = hashes.iter().zip(&answers).filter(|(_, won)| **won).map(|(to, _)| to).collect();
    assert_eq!(won.len(), 1, "all began with the same password");
    let after = accounts.user(name).await.expect("read").expect("there");
    assert_eq!(after, User { password_hash: won[0].clone(), ..user });
    assert!(!accounts.change_password("nobody", "a", "b").await.expect("change"));
}
