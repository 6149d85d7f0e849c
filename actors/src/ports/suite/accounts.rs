//! What every adapter of [`Accounts`] must do.

use futures::future::join_all;

use super::fresh;
use crate::access::user::{User, UserRole};
use crate::ports::accounts::Accounts;

/// Runs every case. Wants a store without users, and leaves one in it.
pub async fn accounts(accounts: &dyn Accounts) {
    let user = only_the_first_user_is_stored(accounts).await;
    a_password_is_changed_once(accounts, user).await;
}

async fn only_the_first_user_is_stored(accounts: &dyn Accounts) -> User {
    let rivals: Vec<User> = (0..8)
        .map(|n| User::first_admin(&format!("user ' é {} {n}", fresh()), format!("$2b$10${n}")))
        .collect();
    assert_eq!(accounts.user(&rivals[0].username).await.expect("read"), None);
    let answers = join_all(rivals.iter().map(|rival| accounts.insert_first_user(rival))).await;
    let mut stored = Vec::new();
    for (rival, answer) in rivals.iter().zip(answers) {
        let found = accounts.user(&rival.username).await.expect("read");
        assert_eq!(found.as_ref(), answer.expect("insert").then_some(rival));
        stored.extend(found);
    }
    assert_eq!(stored.len(), 1, "one of the first ones is stored");
    let winner = stored.remove(0);
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
