# For the scripts beside it and .ci/run: one set of flags for all builds that tests need, so that nothing is built twice.

# The chance within tokio, which the simulation sets (tests/it/model/sim/mod.rs). It adds functions to tokio and changes none.
case " ${RUSTFLAGS:-} " in
    *" tokio_unstable "*) ;;
    *) RUSTFLAGS="--cfg tokio_unstable${RUSTFLAGS:+ $RUSTFLAGS}" ;;
esac
export RUSTFLAGS
# And traces (tests/it/ops/traces.rs).
CARGO_FLAGS="--locked --features opentelemetry"

# The program as the tests use it: `cargo build` would build it and half of what it uses again, without the features that only
# tests need.
build_program() {
    # shellcheck disable=SC2086 # one word for each flag
    cargo test $CARGO_FLAGS --no-run --test it
}
