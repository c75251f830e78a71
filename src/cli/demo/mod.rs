//! demo
use super::Outcome;
use clap::Args;
#[derive(Args)]
pub(super) struct Arguments {}
pub(super) fn run(_: &Arguments) -> Outcome {
    Ok(0)
}
