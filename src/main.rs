//! placeholder
use captionwire::config::{Config, Overrides};
#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let get = |name: &str| args.iter().position(|a| a == name).map(|i| args[i + 1].clone());
    let overrides = Overrides {
        listen: get("--listen"),
        data: get("--data").map(Into::into),
        ephemeral: args.iter().any(|a| a == "--ephemeral"),
    };
    let config = Config::load(get("--config").as_deref().map(std::path::Path::new), overrides).expect("config");
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let server = captionwire::server::Server::bind(config).await.expect("bind");
    use std::io::Write;
    writeln!(std::io::stdout(), "listening on http://{}", server.local_addr()).expect("stdout");
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("signal");
    server
        .run(async {
            tokio::select! { _ = term.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
        })
        .await;
}
