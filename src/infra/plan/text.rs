//! A plan in words: for the terminal, and as Markdown for a pipeline's summary.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Action, Attribute, Change, Plan};

/// `1 resource`, `2 resources`.
pub fn resources(count: usize) -> String {
    format!("{count} resource{}", if count == 1 { "" } else { "s" })
}

impl Plan {
    /// The plan as lines; each begins with the mark of its action, so that it can be coloured.
    pub fn text(&self) -> String {
        let mut text = format!("{}: {}\n", self.environment, self.words());
        for change in &self.changes {
            line(&mut text, change);
        }
        for output in &self.outputs {
            let _ = writeln!(text, "  ~ output {}", output.name);
            attributes(&mut text, &output.attributes);
        }
        if !self.drift.is_empty() && !self.changes.is_empty() {
            let _ = writeln!(text, "changed outside of Terraform since the last apply:");
            for change in &self.drift {
                line(&mut text, change);
            }
        }
        if self.changes.len() > 1 {
            text.push('\n');
            text.push_str(&self.table());
        }
        text.trim_end().to_owned()
    }

    /// What somebody changed outside of Terraform, as lines.
    pub fn drift_text(&self) -> String {
        if self.drift.is_empty() {
            return format!("{}: nothing was changed outside of Terraform", self.environment);
        }
        let mut text = format!("{}: changed outside of Terraform: {}\n", self.environment, resources(self.drift.len()));
        for change in &self.drift {
            line(&mut text, change);
        }
        text.trim_end().to_owned()
    }

    /// Types down, actions across.
    fn by_type(&self) -> (Vec<Action>, BTreeMap<&str, Vec<usize>>) {
        let actions: Vec<Action> = Action::ALL.into_iter().filter(|action| self.count(*action) > 0).collect();
        let mut rows: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for change in &self.changes {
            let row = rows.entry(&change.kind).or_insert_with(|| vec![0; actions.len()]);
            if let Some(column) = actions.iter().position(|action| *action == change.action) {
                row[column] += 1;
            }
        }
        (actions, rows)
    }

    fn table(&self) -> String {
        let (actions, rows) = self.by_type();
        let width = rows.keys().map(|kind| kind.len()).max().unwrap_or(0).max(4);
        let mut text = format!("{:width$}", "type");
        for action in &actions {
            let _ = write!(text, "  {}", action.word());
        }
        text.push('\n');
        for (kind, counts) in rows {
            let _ = write!(text, "{kind:width$}");
            for (action, count) in actions.iter().zip(counts) {
                let count = if count == 0 { "·".to_owned() } else { count.to_string() };
                let _ = write!(text, "  {count:>0$}", action.word().len());
            }
            text.push('\n');
        }
        text
    }

    /// For `$GITHUB_STEP_SUMMARY`.
    pub fn markdown(&self, title: &str) -> String {
        let mut text = format!("### {title} {}: {}\n\n", self.environment, self.words());
        if !self.changes.is_empty() {
            let (actions, rows) = self.by_type();
            let words: Vec<&str> = actions.iter().map(|action| action.word()).collect();
            let _ = writeln!(text, "| type | {} |\n|---|{}", words.join(" | "), "---:|".repeat(words.len()));
            for (kind, counts) in rows {
                let counts: Vec<String> = counts
                    .into_iter()
                    .map(|count| if count == 0 { String::new() } else { count.to_string() })
                    .collect();
                let _ = writeln!(text, "| `{kind}` | {} |", counts.join(" | "));
            }
            text.push('\n');
        }
        let losses = self.losses();
        if !losses.is_empty() {
            let names: Vec<String> = losses.iter().map(|(address, name)| format!("`{name}` ({address})")).collect();
            let _ = writeln!(text, "**Data is lost with {}.**\n", names.join(", "));
        }
        if !self.is_empty() {
            let _ = writeln!(
                text,
                "<details><summary>What changes</summary>\n\n```diff\n{}\n```\n\n</details>\n",
                self.diff()
            );
        }
        text
    }

    /// Lines that GitHub colours: it looks at the first character alone.
    fn diff(&self) -> String {
        let lines = self.text();
        let lines = lines.lines().skip(1).take_while(|line| !line.is_empty()).map(|line| {
            match line.trim_start().chars().next() {
                Some('-' | '±') => format!("- {line}"),
                Some('+') => format!("+ {line}"),
                Some('~') => format!("! {line}"),
                _ => format!("  {line}"),
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn line(text: &mut String, change: &Change) {
    let reason = change.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let loses = change.loses.as_ref().map(|name| format!("; the data of {name} is lost")).unwrap_or_default();
    let _ = writeln!(text, "  {} {} {}{reason}{loses}", change.action.mark(), change.action.word(), change.address);
    attributes(text, &change.attributes);
}

fn attributes(text: &mut String, attributes: &[Attribute]) {
    for one in attributes {
        let replaces = if one.replaces { "  (makes it anew)" } else { "" };
        let path = if one.path.is_empty() { String::new() } else { format!("{}: ", one.path) };
        let _ = match (&one.before, &one.after) {
            (Some(before), Some(after)) => writeln!(text, "      {path}{before} → {after}{replaces}"),
            (None, Some(after)) => writeln!(text, "      {path}{after}{replaces}"),
            (Some(before), None) => writeln!(text, "      {path}{before} → nothing{replaces}"),
            (None, None) => writeln!(text, "      {path}nothing{replaces}"),
        };
    }
}
