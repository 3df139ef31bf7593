//! What only looks: outputs, drift, costs, the picture, and what can be imported.

use std::fs;

use serde_json::json;

use super::{ROOT, ends, project, root};

#[test]
fn outputs_are_shown_without_what_is_sensitive() {
    let project = project("      size: 2\n", ROOT);
    assert!(project.good(&["infra", "outputs", "prod"]).contains("has no outputs"));
    project.good(&["infra", "apply", "prod", "--yes"]);
    assert_eq!(
        project.good(&["infra", "outputs", "prod"]),
        "OUTPUT  VALUE\nname    rooted-prod\ntoken   (sensitive)\n"
    );
    assert_eq!(project.good(&["infra", "outputs", "prod", "name"]), "rooted-prod\n");
    assert_eq!(
        project.json(&["infra", "outputs", "prod"])["token"],
        json!({"sensitive": true, "value": "(sensitive)"})
    );
    ends(&project.run(&["infra", "outputs", "prod", "nme"]), 2, &["there is no output `nme`", "There is name, token."]);
    project.never_printed(&["hunter22"]);
}

#[test]
fn the_picture_shows_what_there_is_or_will_be() {
    let project = project("      size: 2\n", ROOT);
    ends(&project.run(&["infra", "graph", "prod"]), 0, &["There is nothing yet"]);
    project.good(&["infra", "plan", "prod"]);
    let will = project.good(&["infra", "graph", "prod"]);
    project.good(&["infra", "apply", "prod"]);
    let is = project.good(&["infra", "graph", "prod"]);
    assert_eq!(will, is);
    insta::assert_snapshot!(is);
    project.good(&["infra", "graph", "prod", "--format", "dot", "--file", "picture.dot"]);
    assert!(fs::read_to_string(project.folder.path().join("picture.dot")).unwrap().starts_with("digraph"));
}

#[test]
fn what_a_plan_would_make_can_be_imported_instead() {
    let project = project("      size: 2\n", &ROOT.replace("terraform_data.first.output.name", "var.project"));
    let list = project.good(&["infra", "import", "prod"]);
    assert!(list.contains("streamify infra import prod terraform_data.first ID"), "{list}");
    assert!(
        project
            .good(&["infra", "import", "prod", "terraform_data.first"])
            .contains("import {\n  to = terraform_data.first\n")
    );
    project.good(&["infra", "import", "prod", "terraform_data.first", "some-id"]);
    assert!(fs::read_to_string(root(&project).join("terraform.tfstate")).unwrap().contains("some-id"));
    ends(
        &project.run(&["infra", "import", "prod", "terraform_data.first", "other"]),
        1,
        &["import prod", "already managed"],
    );
}

#[test]
fn costs_come_from_a_table_with_a_date() {
    let project = project("      size: 2\n", ROOT);
    project.good(&["infra", "plan", "prod"]);
    let bill = project.json(&["infra", "cost", "prod"]);
    assert_eq!(bill["prices_of"], "eu-west-1");
    assert!(bill["lines"][0]["what"].as_str().unwrap().contains("api: 1 × 0.5 CPU, 1 GB"), "{bill}");
    assert!(bill["not_counted"].as_array().unwrap().len() == 1, "{bill}");
    let text = project.good(&["infra", "cost", "prod"]);
    assert!(text.contains(&format!("prices of {}", bill["as_of"].as_str().unwrap())), "{text}");
    fs::write(project.folder.path().join("prices.json"), "{}").unwrap();
    let file = project.folder.path().join("prices.json");
    ends(&project.run(&["infra", "cost", "prod", "--prices", file.to_str().unwrap()]), 2, &["is no table of prices"]);
}
