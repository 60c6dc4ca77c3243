# Two commands do all the set-up on a fresh Debian or Ubuntu that has Rust: `make demo`, `make test`.

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
CARGO ?= cargo
SHARED ?= ../shared

.PHONY: demo test explore check-demo deps deps-test peers-deps prometheus-deps api-deps api-test fuzz fuzz-all fuzz-seeds bench bench-floods bench-catalog bench-hour bench-templating bench-detection bench-captures bench-web bench-browse browser screenshots lint deny install clean

demo: deps                ## three days of composed traffic, then live attacks; UI on 127.0.0.1:8650
	$(CARGO) run --release --locked -- demo

check-demo: deps          ## the same traffic at once, as a summary
	$(CARGO) run --release --locked -- demo --once

test: deps-test peers-deps prometheus-deps api-deps ## all tests; those that need root or ../shared say so where they are skipped
	$(CARGO) test --locked
	$(MAKE) browser

explore: deps-test        ## property tests over other and more cases: CASES=5000
	PROPTEST_CASES=$(CASES) $(CARGO) test --locked

browser: deps-test        ## the demo in real Chromium
	$(CARGO) build --locked
	cd tests/browser && npm ci --no-audit --no-fund && APITAP=$(CURDIR)/target/debug/apitap npm test

screenshots: deps-test    ## the README's pictures, of the demo
	$(CARGO) build --locked
	cd tests/browser && npm ci --no-audit --no-fund && APITAP=$(CURDIR)/target/debug/apitap SHOTS=$(CURDIR)/dashboards/screenshots node run.js screenshots.js

# libpcap is all that the program needs beside Rust and a C compiler.
deps:
	@dpkg -s libpcap-dev gcc >/dev/null 2>&1 || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq libpcap-dev gcc; }

TEST_PACKAGES := libpcap-dev gcc nginx-light curl iproute2 openssl nghttp2-client python3-venv chromium rsyslog rsyslog-openssl tcpdump tshark wrk
deps-test:
	@dpkg -s $(TEST_PACKAGES) >/dev/null 2>&1 || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq $(TEST_PACKAGES); }
	@command -v npm >/dev/null || $(SUDO) apt-get install -y -qq nodejs npm

# The peers that come from PyPI, for tests/peers.rs and tests/sinks.rs.
PEERS := target/peers
peers-deps: $(PEERS)/installed
$(PEERS)/installed: tests/peers/requirements.txt | deps-test
	python3 -m venv --clear $(PEERS)
	$(PEERS)/bin/pip install -q --disable-pip-version-check --only-binary :all: --require-hashes -r $<
	touch $@

# Schemathesis, for tests/api_contract.rs and tests/api_signed_in.rs.
SCHEMATHESIS := target/schemathesis
api-deps: $(SCHEMATHESIS)/installed
$(SCHEMATHESIS)/installed: tests/api/requirements.txt | deps-test
	python3 -m venv --clear $(SCHEMATHESIS)
	$(SCHEMATHESIS)/bin/pip install -q --disable-pip-version-check --only-binary :all: --require-hashes -r $<
	touch $@

api-test: api-deps        ## the API of the running demo, and of a daemon with sign-in, against its own document
	APITAP_NEED_SCHEMATHESIS=1 $(CARGO) test --locked --test api_contract --test api_signed_in -- --nocapture

# Debian's Prometheus, for tests/dashboards.rs: unpacked and not installed, so that no service of it runs.
PROMETHEUS := target/prometheus
prometheus-deps: $(PROMETHEUS)/usr/bin/promtool
$(PROMETHEUS)/usr/bin/promtool:
	mkdir -p $(PROMETHEUS)
	cd $(PROMETHEUS) && { apt-get download -qq prometheus || { $(SUDO) apt-get update -qq && apt-get download -qq prometheus; } }
	cd $(PROMETHEUS) && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb
	touch $@

CASES ?= 5000

# libFuzzer needs flags that a stable compiler takes only so.
TARGET ?= http1
SECONDS ?= 600
FUZZ := RUSTC_BOOTSTRAP=1 $(CARGO) fuzz
# Leaks: the thread that pumps a savefile to libpcap may outlive the run that it was for.
FUZZ_FLAGS = -max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=1024 -max_len=8192 -detect_leaks=0

fuzz: fuzz-seeds          ## one entry under libFuzzer: make fuzz TARGET=http1 SECONDS=600
	$(FUZZ) run $(TARGET) -- $(FUZZ_FLAGS)

fuzz-all: fuzz-seeds      ## every entry in turn, SECONDS each
	@for target in $$($(FUZZ) list); do \
		$(FUZZ) run $$target -- $(FUZZ_FLAGS) || exit 1; \
	done

# Corpora from ../shared/captures where it is there, else from composed ones.
fuzz-seeds: deps
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --locked cargo-fuzz
	APITAP_FUZZ_CORPUS=$(CURDIR)/fuzz/corpus $(CARGO) test --locked --test fuzz_smoke seeds_are_written

lint:                     ## formatting, clippy, docs
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

deny:                     ## licences, sources, bans; advisories where their database can be had
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny
	$(CARGO) deny check licenses bans sources
	@if $(CARGO) deny fetch db; then $(CARGO) deny check advisories; else echo "NOTE: advisories NOT checked: their database cannot be fetched from here"; fi

bench: deps               ## speed beside the floor and the peers that are installed
	$(CARGO) build --release --locked
	benches/run.sh

bench-floods:             ## a million half-open flows, a SYN flood, a fragment flood: memory and honest flows
	$(CARGO) bench --locked --profile quick --bench floods

bench-catalog:            ## 100,000 endpoints and 1,000,000 principals: memory, cost per exchange, publishing, checkpoints
	$(CARGO) bench --locked --profile quick --bench catalog

bench-hour:               ## an hour through catalogue and detection: 10,000 endpoints, 100,000 principals; rate and memory over time
	HOUR="10000 100000 3600000" $(CARGO) bench --locked --profile quick --bench catalog

bench-web:                ## every page with 100,000 endpoints and 10,000 alerts: time and weight
	$(CARGO) bench --locked --profile quick --bench web

bench-browse: deps-test   ## fifty who browse 100,000 endpoints while a mirror port is watched: packets lost, answer times
	BROWSE_ENDPOINTS=100000 BROWSE_SECONDS=20 $(CARGO) test --locked --profile quick --test browse -- --nocapture

bench-captures:           ## recall and precision against the Wireshark oracles
	$(CARGO) build --release --locked
	python3 $(SHARED)/captures/score.py $(SHARED)/captures -j2 --cmd '$(CURDIR)/target/release/apitap read {file} --no-mask --keylog {keylog} --format exchanges' --decrypted | tail -36

bench-templating:         ## path templates on real APIs
	$(CARGO) build --release --locked
	python3 $(SHARED)/templating/score.py $(SHARED)/templating --cmd '$(CURDIR)/target/release/apitap analyze {file} --format assignments'

bench-detection:          ## labelled attacks by type; SEEDS, SCALE, STRENGTHS, QUIET may be set
	$(CARGO) build --release --locked
	python3 benches/detection.py
	$(CARGO) bench --locked --profile quick --bench detection

install: deps             ## program, unit, man page, sample config
	$(CARGO) build --release --locked
	$(SUDO) install -Dm755 target/release/apitap /usr/bin/apitap
	$(SUDO) install -Dm644 systemd/apitap.service /usr/lib/systemd/system/apitap.service
	$(SUDO) install -Dm644 systemd/apitap.sysusers /usr/lib/sysusers.d/apitap.conf
	$(SUDO) install -Dm644 systemd/apitap.tmpfiles /usr/lib/tmpfiles.d/apitap.conf
	[ -e /etc/apitap/apitap.toml ] || $(SUDO) install -Dm640 systemd/apitap.toml /etc/apitap/apitap.toml
	target/release/apitap generate man | $(SUDO) install -Dm644 /dev/stdin /usr/share/man/man1/apitap.1

clean:
	$(CARGO) clean
