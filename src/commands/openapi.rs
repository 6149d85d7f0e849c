//! `openapi`: the document that describes the service's HTTP face, for tools that read it.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::http::base_path::BasePath;
use crate::http::openapi::document;

/// What `openapi` may be told.
#[derive(Debug, clap::Args)]
pub struct OpenapiArgs {
    /// The path above the API
    #[arg(long, value_name = "PATH", default_value = "/meet", value_parser = BasePath::parse)]
    base_path: BasePath,
}

impl OpenapiArgs {
    /// Prints the document on standard output.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        // A reader that went away, such as `head`, has seen what it wanted.
        let written = writeln!(io::stdout().lock(), "{:#}", document(&self.base_path));
        written.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
    }
}
