//! The `tp-runner` binary; everything is in the library.

/// Evaluation allocates many small values on several threads: `docs/decisions/0004-allocator.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tp_runner::cli::main()
}
