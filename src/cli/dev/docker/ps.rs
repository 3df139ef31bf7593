use crate::cli::Context;
use crate::cli::dev::runtime::Place;
use crate::failure::Result;
use crate::stack::docker::{Entry, Health, Phase, entries};
use crate::terminal::{Paint, Table};

/// Prints the project's containers.
pub(in crate::cli::dev) async fn show(place: &Place, all: bool, context: &Context) -> Result<()> {
    let entries = entries(&place.engine, &place.name, all).await?;
    context.terminal.result(
        |paint| {
            if entries.is_empty() {
                return format!("nothing of the project {} runs; start it with `streamify dev up`", place.name);
            }
            let mut table = Table::new(["service", "state", "address", "container", "status", "image"]);
            for entry in &entries {
                table.row([
                    paint.strong(&entry.service),
                    state(entry, paint),
                    entry.address.clone().unwrap_or_default(),
                    entry.container.clone(),
                    entry.status.clone(),
                    entry.image.clone(),
                ]);
            }
            table.text()
        },
        &entries,
    )
}

fn state(entry: &Entry, paint: Paint) -> String {
    let word = entry.state.word();
    match (entry.state.phase, entry.state.health) {
        (Phase::Running, Some(Health::Healthy) | None) => paint.good(word),
        (Phase::Running, Some(Health::Unhealthy)) | (Phase::Dead, _) => paint.bad(word),
        (Phase::Exited, _) if entry.state.exit_code == Some(0) => paint.dim("done"),
        (Phase::Exited, _) => paint.bad(format!("exited {}", entry.state.exit_code.unwrap_or_default())),
        _ => paint.warning(word),
    }
}
