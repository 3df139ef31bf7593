//! The WebSocket API as a function.

use serde_json::{Value, json};

use super::world::{World, add, batch, user};
use crate::support::backend::nowhere;
use crate::support::kafka::{Broker, Kind};
use crate::support::lambda::Function;

async fn event(function: &Function, kind: &str, id: &str, more: &Value) -> u64 {
    let mut event = json!({
        "requestContext": {
            "eventType": kind, "connectionId": id, "domainName": "ws.example.com", "stage": "prod",
            "routeKey": match kind { "CONNECT" => "$connect", "DISCONNECT" => "$disconnect", _ => "$default" },
            "identity": {"sourceIp": "192.0.2.1"},
        },
        "isBase64Encoded": false,
    });
    for (name, value) in more.as_object().unwrap() {
        event[name] = value.clone();
    }
    let answer = function.invoke(event).await.unwrap_or_else(|error| panic!("{error}\n{}", function.log()));
    answer["statusCode"].as_u64().unwrap()
}

async fn connect(function: &Function, id: &str) {
    let headers = json!({"headers": {"Host": "ws.example.com", "Origin": "https://app.example.com"}});
    assert_eq!(event(function, "CONNECT", id, &headers).await, 200);
}

async fn say(function: &Function, id: &str, message: &Value) {
    assert_eq!(event(function, "MESSAGE", id, &json!({"body": message.to_string()})).await, 200);
}

async fn auth(function: &Function, id: &str, token: &str, last: Option<&str>) {
    say(function, id, &json!({"type": "auth", "token": token, "last_event_id": last})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_proves_who_it_is_follows_and_resumes() {
    let broker = tokio::task::spawn_blocking(|| Broker::shared(Kind::Kraft)).await.unwrap();
    let world = World::with_kafka(broker).await;
    let (http, websocket, events) =
        (world.function("http").await, world.function("websocket").await, world.function("events").await);
    let token = user(&http, "dora").await;

    connect(&websocket, "first=").await;
    assert_eq!(world.kept().await, ["first="]);
    auth(&websocket, "first=", &token, None).await;
    assert_eq!(world.gateway.types("first="), ["ready"]);

    add(&http, &token, "one").await;
    add(&http, &token, "two").await;
    let topic = world.topic.clone();
    let stored = tokio::task::spawn_blocking(move || broker.read(&topic)).await.unwrap();
    let mut values: Vec<String> = stored.into_iter().map(|message| message.value).collect();
    // Ids grow with time, and partitions are read one after the other.
    values.sort_by_key(|value| serde_json::from_str::<Value>(value).unwrap()["id"].as_str().unwrap().to_owned());
    let answer = events.invoke(batch(&world.topic, &values)).await.unwrap();
    assert_eq!(answer, json!({"records": 2, "posted": 2}), "{}", events.log());
    let seen = world.gateway.clients().messages["first="].clone();
    assert_eq!(
        seen[1..].iter().map(Value::to_string).collect::<Vec<_>>(),
        values.iter().map(|value| { serde_json::from_str::<Value>(value).unwrap().to_string() }).collect::<Vec<_>>()
    );

    // A fresh token says nothing new; what was missed since `one` is told to who comes back.
    auth(&websocket, "first=", &token, None).await;
    assert_eq!(world.gateway.types("first="), ["ready", "video.created", "video.created"]);
    let first = seen[1]["id"].as_str().unwrap();
    connect(&websocket, "second=").await;
    auth(&websocket, "second=", &token, Some(first)).await;
    let missed = world.gateway.clients().messages["second="].clone();
    assert_eq!(missed.len(), 2, "{missed:?}\n{}", websocket.log());
    assert_eq!((&missed[0]["type"], &missed[1]["id"]), (&json!("ready"), &seen[2]["id"]));
    // An event that the topic never had: lists must be loaded anew.
    connect(&websocket, "third=").await;
    auth(&websocket, "third=", &token, Some("01920000-0000-7000-8000-000000000000")).await;
    assert_eq!(world.gateway.types("third="), ["ready", "reset"]);

    assert_eq!(event(&websocket, "DISCONNECT", "second=", &json!({"headers": null, "body": null})).await, 200);
    assert_eq!(world.kept().await, ["first=", "third="]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_known_is_told_and_sent_away() {
    let world = World::new(&nowhere()).await;
    let (http, websocket) = (world.function("http").await, world.function("websocket").await);
    let (emil, frida) = (user(&http, "emil").await, user(&http, "frida").await);

    let strange = json!({"headers": {"Host": "ws.example.com", "origin": "https://evil.example"}});
    assert_eq!(event(&websocket, "CONNECT", "strange=", &strange).await, 403);
    let closing = |id: &str| {
        let clients = world.gateway.clients();
        assert!(clients.closed.contains(id), "{id}");
        let last = clients.messages[id].last().unwrap().clone();
        assert_eq!(last["type"], "closing", "{last}");
        last["code"].as_u64().unwrap()
    };
    connect(&websocket, "wrong=").await;
    auth(&websocket, "wrong=", "nonsense", None).await;
    assert_eq!(closing("wrong="), 4401);
    connect(&websocket, "else=").await;
    say(&websocket, "else=", &json!({"type": "subscribe"})).await;
    assert_eq!(closing("else="), 1008);
    connect(&websocket, "binary=").await;
    let binary = json!({"body": "AAEC", "isBase64Encoded": true});
    assert_eq!(event(&websocket, "MESSAGE", "binary=", &binary).await, 200);
    assert_eq!(closing("binary="), 1008);
    connect(&websocket, "large=").await;
    auth(&websocket, "large=", &"x".repeat(9_000), None).await;
    assert_eq!(closing("large="), 1008);
    connect(&websocket, "two=").await;
    auth(&websocket, "two=", &emil, None).await;
    assert_eq!(world.gateway.types("two="), ["ready"]);
    auth(&websocket, "two=", &frida, None).await;
    assert_eq!(closing("two="), 4401);
    assert_eq!(world.kept().await, Vec::<String>::new());
    assert!(
        websocket.invoke(json!({"nonsense": 1})).await.unwrap_err()["errorMessage"]
            .as_str()
            .unwrap()
            .contains("no event of a WebSocket API")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_closes_whoever_shows_no_token_and_whose_token_is_over() {
    let world = World::new(&nowhere()).await;
    let (http, websocket, events) =
        (world.function("http").await, world.function("websocket").await, world.function("events").await);
    let token = user(&http, "gina").await;
    for id in ["fresh=", "idle=", "good=", "over="] {
        connect(&websocket, id).await;
    }
    for id in ["good=", "over="] {
        auth(&websocket, id, &token, None).await;
    }
    world.long_ago("idle=", "opened_at").await;
    world.long_ago("over=", "token_expires_at").await;
    // What is over is sent nothing any more.
    let answer = events.invoke(batch("t", &[super::world::envelope(1)])).await.unwrap();
    assert_eq!(answer["posted"], 1);
    assert_eq!(world.gateway.types("over="), ["ready", "closing"]);
    let swept = events.invoke(json!({"streamify": "sweep"})).await.unwrap();
    assert_eq!(swept, json!({"published": 0, "closed": 1}));
    assert_eq!(world.kept().await, ["fresh=", "good="]);
}
