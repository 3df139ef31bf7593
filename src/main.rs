//! Arguments in, exit code out; nothing else exits.

use std::process::ExitCode;

/// The backend allocates for every request, on every core; the system's allocator costs it a tenth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    streamify::cli::main()
}
