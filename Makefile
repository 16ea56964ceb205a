# Thin: each target sets up what it needs (tests/setup.sh), then hands over to cargo.

.PHONY: demo test sim bench lint docs fmt setup-demo setup-test clean

demo: setup-demo
	cargo build --release --quiet -p offhook-engine -p offhook-control -p offhook-loadtest
	target/release/loadtest demo --engine target/release/offhook-engine --control target/release/offhook-control \
	    --prompts engine/prompts --report-dir demo-report $(DEMO)

test: setup-test
	cargo build --workspace --bins
	cargo test --workspace

# A million seeded histories of the control core instead of the hundred thousand of `make test`.
sim:
	OFFHOOK_HISTORIES=$${OFFHOOK_HISTORIES:-1000000} cargo test --release -p offhook-tests --test simulation -- --nocapture

bench: setup-demo
	cargo bench -p offhook-benches

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

clean:
	cargo clean
	rm -rf demo-report
