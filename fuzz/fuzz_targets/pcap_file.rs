#![no_main]

// Rust's own start-up, which libFuzzer's main replaces, has writes into a closed pipe fail and not
// kill: libpcap closes its end of one as soon as it has seen enough.
libfuzzer_sys::fuzz_target!(
    init: {
        // SAFETY: no handler is installed, and no other thread runs yet.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    },
    |data: &[u8]| apitap::fuzzing::pcap_file(data)
);
