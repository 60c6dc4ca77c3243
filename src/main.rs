fn main() -> std::process::ExitCode {
    apitap::cli::main()
}
