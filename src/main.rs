fn main() -> std::process::ExitCode {
    tp_runner::cli::main()
}
