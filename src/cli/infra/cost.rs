use std::path::PathBuf;

use super::super::{Context, Outcome};
use super::{Ground, Place};
use crate::failure::{OrFail, Result};
use crate::infra::{Bill, Prices, Purpose, bill};
use crate::terminal::{Paint, Table};

/// Say roughly what an environment costs in a month, by service
///
/// From the kept plan where there is a fresh one, else from the state; tasks come from streamify.yaml. The prices are a
/// table with a date, good for comparing two designs and not for a budget: what is paid by use is named with its price
/// and not counted.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify infra plan prod && streamify infra cost prod\n  \
                        streamify infra cost prod --prices prices.json\n  \
                        streamify infra cost prod --output json | jq .monthly")]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Another table of prices, in the form of templates/prices/aws.json
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let ground = Ground::enter(&arguments.place, context)?;
    let prices = match &arguments.prices {
        None => Prices::built_in()?,
        Some(file) => {
            let text = std::fs::read_to_string(file).or_fail(|| format!("can't read {}", file.display()))?;
            Prices::parse(&text, &file.display().to_string())?
        }
    };
    let site = ground.site().await?;
    let shown = match site.fresh(Purpose::Apply).await? {
        Some(planned) => {
            ground.report.note("Counted is what there will be, by the kept plan.");
            planned.shown
        }
        None => {
            ground.report.note("Counted is what there is, by the state.");
            site.initialise(true).await?;
            site.show(None).await?
        }
    };
    let bill = bill(&shown, &ground.environment, &prices)?;
    context.terminal.result(|paint| text(paint, &bill), &bill)?;
    Ok(Outcome::Done)
}

fn text(paint: Paint, bill: &Bill) -> String {
    let mut table = Table::new(["service", "what", "a month"]);
    for line in &bill.lines {
        table.row([line.service.clone(), line.what.clone(), format!("{:>9.2}", line.monthly)]);
    }
    table.row([paint.strong("together"), String::new(), paint.strong(format!("{:>9.2}", bill.monthly))]);
    let mut lines = vec![
        table.text(),
        String::new(),
        format!("{} in {}, prices of {}: {}", bill.currency, bill.prices_of, bill.as_of, bill.basis),
    ];
    if bill.prices_of != bill.region {
        lines.push(format!("{} has no prices in the table; those of {} are taken", bill.region, bill.prices_of));
    }
    lines.push("not counted:".to_owned());
    lines.extend(bill.not_counted.iter().map(|one| format!("  {one}")));
    lines.join("\n")
}
