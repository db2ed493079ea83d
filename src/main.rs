//! The program; all of it is the library's.

/// Judging is many small values made and dropped by several threads: `docs/decisions/0004-allocator.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tp_runner::cli::main()
}
