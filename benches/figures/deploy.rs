//! What a deploy costs above the rollouts that it waits for: the tests' own ECS, whose clock says how long those took.

use crate::Result;
use crate::process::median;
use crate::report::{Line, Target, Unit};
use crate::world::{World, image};

pub fn measure(quick: bool) -> Result<Vec<Line>> {
    let rounds = if quick { 2 } else { 8 };
    let world = World::new();
    // A task in five seconds, as a quick one starts on Fargate: so far apart that looks fall between the events.
    world.ecs.state().clock.set_rate(1.0);
    let (mut whole, mut above, mut requests) = (Vec::new(), Vec::new(), Vec::new());
    // Each round has an image of its own: a digest is all of one digit.
    for digit in "abcdef01".chars().take(rounds) {
        let image = image(digit);
        let begun = std::time::Instant::now();
        let ran = world.run(&["deploy", "prod", "--image", &image, "--skip-migration", "--output", "json"]);
        let took = begun.elapsed().as_secs_f64();
        if ran.code != Some(0) {
            return Err(format!("the deploy failed: {}", ran.err).into());
        }
        let state = world.ecs.state();
        let last = state.services.values().filter_map(|service| service.rollouts.last());
        let rollouts: f64 = last.filter_map(|one| Some(one.finished? - one.created)).sum();
        whole.push(took);
        above.push(took - rollouts);
        requests.push(ran.json()["requests"].as_f64().unwrap_or_default());
    }
    Ok(vec![
        Line::new("deploy of two services, one after the other", Unit::Time, median(&whole)),
        Line::new("above what their rollouts took", Unit::Time, median(&above)).target(Target::AtMost(2.0)),
        Line::new("requests to AWS", Unit::Count, median(&requests)),
    ])
}
