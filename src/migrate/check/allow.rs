//! `-- streamify:allow RULE reason`, above the statement that it is for.

use super::lexer::Comment;
use super::review::Remark;
use super::rule::Rule;
use super::statement::Statement;

const MARK: &str = "streamify:allow";

/// An allow that can take effect.
struct Allow {
    rule: Rule,
    /// The statement that follows it or has it inside; none at the end of the file.
    statement: Option<usize>,
    start: usize,
    is_used: bool,
}

/// Takes away the remarks that are allowed, and adds those about the allows themselves.
pub(super) fn apply(comments: &[Comment], statements: &[Statement], remarks: &mut Vec<Remark>) {
    let mut wrong = Vec::new();
    let mut allows = Vec::new();
    for comment in comments {
        match read(comment, statements) {
            Some(Ok(allow)) => allows.push(allow),
            Some(Err(remark)) => wrong.push(remark),
            None => {}
        }
    }
    remarks.retain(|remark| {
        let mut is_allowed = false;
        // Two of the same are both used by one remark: neither is in the way.
        for allow in allows.iter_mut().filter(|one| one.rule == remark.rule && one.statement == remark.statement) {
            allow.is_used = true;
            is_allowed = true;
        }
        !is_allowed
    });
    remarks.append(&mut wrong);
    remarks.extend(allows.iter().filter(|allow| !allow.is_used).map(|allow| {
        let what = format!("it allows nothing: the next statement has no `{}`", allow.rule);
        about(allow.start, what, "take it away, or put it right above the statement that it is for")
    }));
}

fn read(comment: &Comment, statements: &[Statement]) -> Option<Result<Allow, Remark>> {
    let rest = comment.text.trim_start().strip_prefix(MARK)?;
    let (start, rest) = (comment.start, rest.trim());
    let (name, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let fail = |what: String, safer: &str| Some(Err(about(start, what, safer)));
    let Some(rule) = Rule::named(name).filter(|rule| *rule != Rule::Allow) else {
        return fail(format!("there is no rule `{name}` to allow"), "`streamify migrate check --help` lists the rules");
    };
    if reason.trim().is_empty() {
        return fail(
            format!("it allows nothing: why `{rule}` does no harm here is not said"),
            "write the reason after the rule's name",
        );
    }
    let statement = statements.iter().position(|statement| statement.end() > start);
    Some(Ok(Allow { rule, statement, start, is_used: false }))
}

fn about(start: usize, what: String, safer: &str) -> Remark {
    Remark { rule: Rule::Allow, start, statement: None, what, safer: safer.to_owned() }
}
