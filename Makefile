# Thin: each target sets up what it needs (tests/setup.sh), then hands over to cargo.

.PHONY: demo soak soak-sipp test behaviours sim fuzz bpf bench compare compare-readme quality lint docs fmt setup-demo setup-test setup-compare setup-quality clean

demo: setup-demo
	cargo build --release --quiet -p offhook-engine -p offhook-control -p offhook-loadtest
	target/release/loadtest demo --engine target/release/offhook-engine --control target/release/offhook-control \
	    --prompts engine/prompts --report-dir demo-report $(DEMO)

# Five minutes of calls in which control and one of two engines are killed (SIGKILL) and started again.
soak: setup-demo
	cargo build --release --quiet -p offhook-engine -p offhook-control -p offhook-loadtest
	target/release/loadtest demo --engine target/release/offhook-engine --control target/release/offhook-control \
	    --prompts engine/prompts --report-dir soak-report --engines 2 --agents 200 --duration 300s \
	    --kill-control-at 100s --kill-engine-at 200s $(SOAK)

# The same with SIPp as all phones: 200 agents, their customers, and callers.
soak-sipp: setup-test
	cargo build --release --quiet -p offhook-engine -p offhook-control -p offhook-tests --bins
	target/release/soak $(SOAK)

test: setup-test
	cargo build --workspace --bins
	cargo test --workspace

# Every behaviour by its id, with the tests that prove it and how they end.
behaviours: setup-test
	cargo run --quiet -p offhook-tests --bin behaviours

# A million seeded histories of the control core instead of the eight thousand of `make test`.
sim:
	OFFHOOK_HISTORIES=$${OFFHOOK_HISTORIES:-1000000} cargo test --release -p offhook-tests --test simulation -- --nocapture

# Ten minutes of fuzzing for each parser that reads what strangers send; `make fuzz FUZZ=wav FUZZ_SECONDS=60` for one of them.
FUZZ ?= rtp media rtcp srtp control ng ng_stream sdp sip sip_sdp wav config
FUZZ_SECONDS ?= 600
fuzz:
	@cargo +nightly fuzz --version >/dev/null 2>&1 || { echo "make fuzz needs a nightly toolchain (rustup toolchain install nightly) and cargo-fuzz (cargo install cargo-fuzz)"; exit 1; }
	for target in $(FUZZ); do \
	    mkdir -p tests/fuzz/target/found/$$target; \
	    cargo +nightly fuzz run --fuzz-dir tests/fuzz --sanitizer none $$target \
	        tests/fuzz/target/found/$$target tests/fuzz/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=4096 || exit 1; \
	done

# The program that forwards in the kernel, after a change of its source (clang 14).
bpf:
	$(MAKE) -B -C engine/uring/src/kernel -f forward.mk

# `make bench BENCH="--save-baseline before"`, then, after a change, `make bench BENCH="--baseline before"`, compares the two.
bench: setup-demo
	cargo bench -p offhook-benches --benches -- $(BENCH)

# The engine beside rtpengine. `make compare COMPARE=--quick` is a short try; COMPARE=park, splices, players or scale asks about the engine
# alone, COMPARE=set-ups or restart about control.
compare: setup-compare
	cargo build --release --quiet -p offhook-engine -p offhook-control -p offhook-benches
	target/release/compare --engine target/release/offhook-engine $(COMPARE)

# Puts what `make compare` found last into README.md: date, machine, plot, tables.
compare-readme:
	target/release/compare readme

# Speech from every encoding to every other, with loss and with jitter, and the marks (MOS-LQO, ViSQOL) that it gets. Sixteen minutes of one core.
quality: setup-quality
	target/quality/venv/bin/python tests/quality.py say target/quality/speech
	cargo run --quiet -p offhook-engine-core --example speech -- target/quality/speech/*
	target/quality/venv/bin/python tests/quality.py judge target/quality/speech

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

fmt:
	cargo fmt --all

setup-demo:
	@tests/setup.sh build

setup-test:
	@tests/setup.sh build peers

setup-compare:
	@tests/setup.sh build compare

setup-quality:
	@tests/setup.sh build quality

clean:
	cargo clean
	rm -rf demo-report soak-report
