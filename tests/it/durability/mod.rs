//! What is acknowledged stays.

mod archive;
mod crash;
mod faults;
mod log_contract;
mod migration;
