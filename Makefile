# Everything a fresh Debian machine with Rust and a C compiler needs: `make dev` and `make test` install what is missing by themselves.

.PHONY: help dev build test lint model sim sim-long sim-mutants bench bench-consensus bench-state bench-peers bench-pot bench-epoch bench-ledger books subsidy fuzz setup

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

setup: ## installs libclang, which RocksDB's bindings need, if it is not there
	@sh ./setup.sh

build: setup ## builds the program
	cargo build --locked -p node

dev: build ## builds and starts a whole network on this machine (Ctrl-C ends it)
	cargo run --locked -q -p node -- --dev

test: setup ## unit, property and end-to-end tests
	cargo build --locked -p node
	RUST_TEST_THREADS=2 cargo test --locked --workspace
	$(MAKE) sim-mutants

lint: setup ## format, clippy with warnings denied, documentation
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

bench-consensus: ## what consensus takes in delays, and one engine in time, beside the limits
	cargo run --locked --release -q -p sim --bin sim -- --bench
	cargo bench --locked -q -p consensus --bench engine

bench-state: setup ## the state tree beside a bare RocksDB and three other trees: make bench-state KEYS=10000000 ONLY=bare,ours
	cargo run --locked --release -q --manifest-path tests/trees/Cargo.toml -- $(or $(KEYS),1000000) $(if $(ONLY),--only $(ONLY)) $(if $(GROWTH),--growth $(GROWTH))

bench-pot: ## signatures beside three other kinds, where our time goes, and a whole part of a report
	cargo run --locked --release -q --manifest-path tests/signatures/Cargo.toml

bench-epoch: ## an epoch of 10,000 carriers and a million channels, claims to rewards: make bench-epoch CHANNELS=100000, or DOCS=docs for the growth too
	cargo run --locked --release -q --manifest-path tests/epoch/Cargo.toml -- $(if $(CARRIERS),--carriers $(CARRIERS)) $(if $(PAYERS),--payers $(PAYERS)) \
		$(if $(CHANNELS),--channels $(CHANNELS)) $(if $(BYTES),--bytes $(BYTES)) $(if $(NEAR),--near $(NEAR)) $(if $(DOCS),--docs $(DOCS))

subsidy: ## what attackers earn from the subsidy of traffic, under the original's rule and ours: make subsidy DOCS=docs
	cargo run --locked -q -p subsidy -- $(if $(SEED),--seed $(SEED)) $(if $(DOCS),--docs $(DOCS))

bench-peers: ## our consensus beside Malachite's and Commonware's, on one schedule
	cargo run --locked --release -q --manifest-path tests/peers/Cargo.toml

model: ## every state of the consensus model, in larger scopes than `make test` has time for
	cargo run --locked --release -q -p sim --bin model

bench: setup bench-ledger ## what this machine does, beside its limits
	cargo run --locked --release -q -p tests --bin bench

bench-ledger: setup ## the value ledger alone on one core: transfers among a million accounts, a large settlement, an epoch's end: make bench-ledger ACCOUNTS=100000
	cargo build --locked --release -q -p tests --bin ledger
	taskset -c 0 cargo run --locked --release -q -p tests --bin ledger -- $(ACCOUNTS)

fuzz: setup ## any bytes, and true ones with a byte changed, to what decodes them, as often as you like: make fuzz CASES=1000000
	PROPTEST_CASES=$(or $(CASES),100000) cargo test --locked --workspace any_bytes

books: ## random transactions of every kind against books of plain sums, as often as you like: make books CASES=10000
	PROPTEST_CASES=$(or $(CASES),1000) cargo test --locked --release -p chain --lib books_are_kept

sim: ## one run of the simulated network: make sim SEED=7, or make sim SCENARIO="..." from a report
	cargo run --locked --release -q -p sim --bin sim -- $(if $(SCENARIO),--scenario "$(SCENARIO)",--seed $(or $(SEED),0))

sim-long: ## simulated networks, seed after seed, until told to stop or for MINUTES=n; MONEY=1 for the value ledger
	cargo run --locked --release -q -p sim --bin sim -- $(if $(MINUTES),--minutes $(MINUTES),--forever) $(if $(MONEY),--money)

sim-mutants: ## rules of consensus and of the value ledger broken one at a time: the simulated network notices each
	cargo test --locked -q -p sim --features mutants --test mutants
