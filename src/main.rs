//! Arguments in, exit code out; nothing else exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    streamify::cli::main()
}
