# `just check` and `just test` are what CI runs: both are defined once, in .ci/run and scripts/test.sh.

# What there is.
default:
    @just --list

# Format, lints, documentation.
check:
    .ci/run check

# All tests; installs what they need where it may.
test *args:
    sh scripts/test.sh {{args}}

# The client library and the pages, in a browser; `measure` and `screenshots` do that instead.
browser *args:
    sh scripts/browser.sh {{args}}

# Builds the pages from web/.
web:
    sh scripts/web.sh

# All that CI runs.
ci:
    .ci/run

# The library and the program with fewer features than all; README and docs/rust.md say what each is for.
features:
    .ci/run features

# The tests with cargo-nextest, which ends those that hang.
nextest *args:
    cargo nextest run --locked {{args}}

# Licences, advisories and origins of all dependencies; needs cargo-deny.
deny:
    cargo deny --locked check

# The figures of the README and of docs/adr.
bench *args:
    cargo bench --locked {{args}}

# The shipped hearing, captioned live.
demo *args:
    cargo run --release --locked -- demo {{args}}

# docs/openapi.yaml against a running server.
contract:
    sh scripts/contract.sh

# The public WebSocket suite; scripts/autobahn.sh says what it needs.
autobahn:
    sh scripts/autobahn.sh

# Each fuzz target for so many seconds; needs cargo-fuzz and a C++ compiler. RUSTC_BOOTSTRAP lets the stable compiler do it;
# what is fuzzed has no unsafe code for a sanitizer to look at. What it finds goes into fuzz/corpus.
fuzz seconds="60":
    for target in $(cargo fuzz list); do RUSTC_BOOTSTRAP=1 cargo fuzz run -s none $target -- -max_total_time={{seconds}} || exit 1; done

# So many random changes to files for each reader, as plain tests: no other compiler is needed.
fuzz-formats mutations="1000000":
    CAPTIONWIRE_MUTATIONS={{mutations}} cargo test --locked --release --test it formats::corpora::format -- --nocapture

# The server simulated with so many seeds, from the first one on. A failure names its seed; `just sim 1 17` shows what
# happens with seed 17.
sim seeds="300" first="0":
    CAPTIONWIRE_SIM_SEEDS={{seeds}} CAPTIONWIRE_SIM_FIRST={{first}} RUSTFLAGS="--cfg tokio_unstable" cargo test --locked --release --test it model::sim:: -- --nocapture

# `kill -9` under load, so many times.
crash rounds="20" seed="24301":
    CAPTIONWIRE_CRASH_ROUNDS={{rounds}} CAPTIONWIRE_CRASH_SEED={{seed}} cargo test --locked --test it durability::crash:: -- --nocapture

# A press conference while NATS servers and nodes are killed, stopped, cut off and started again, transcripts that are replaced
# and deleted meanwhile, and one node under load: so many rounds of each, from this seed on. Needs nats-server.
cluster rounds="50" seed="1":
    CAPTIONWIRE_NODES_ROUNDS={{rounds}} CAPTIONWIRE_NODES_SEED={{seed}} cargo test --locked --test it cluster::nodes::nothing_is_lost -- --nocapture
    CAPTIONWIRE_CLUSTER_ROUNDS={{rounds}} CAPTIONWIRE_CLUSTER_SEED={{seed}} cargo test --locked --test it cluster::two_nodes:: -- --nocapture

# All tests, several times, while other programs keep every core busy
stress rounds="5":
    sh scripts/stress.sh {{rounds}}

# The mistakes that tests have to notice, all of them or those that are named; each is a build.
mutants *names:
    sh scripts/mutants.sh {{names}}
