//! What runs in a pod: the AWS SDK for Rust and an environment. Protocol: ../README.md

use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_sts::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::{BoxError, DisplayErrorContext};

/// Ends a call once it is signed. The SDK keeps credentials in the client, not in the provider, so only a call shows
/// what an application gets.
#[derive(Debug, Clone, Default)]
struct StopWhenSigned(Arc<Mutex<Option<String>>>);

impl Intercept for StopWhenSigned {
    fn name(&self) -> &'static str {
        "StopWhenSigned"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let authorization = context.request().headers().get("authorization").unwrap_or_default();
        let id = authorization.split("Credential=").nth(1).and_then(|rest| rest.split('/').next()).map(str::to_owned);
        *self.0.lock().unwrap() = id;
        Err("the call is signed".into())
    }
}

struct Application {
    client: aws_sdk_sts::Client,
    signed: StopWhenSigned,
}

impl Application {
    async fn start() -> Self {
        let config: SdkConfig = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let signed = StopWhenSigned::default();
        let config = aws_sdk_sts::config::Builder::from(&config).interceptor(signed.clone()).build();
        Application { client: aws_sdk_sts::Client::from_conf(config), signed }
    }

    async fn resolve(&self, start: Instant) -> String {
        self.signed.0.lock().unwrap().take();
        let outcome = self.client.get_caller_identity().send().await;
        let millis = start.elapsed().as_millis();
        let id = self.signed.0.lock().unwrap().take();
        match (id, outcome) {
            (Some(id), _) => format!(r#"{{"ok":true,"millis":{millis},"accessKeyId":{}}}"#, json(&id)),
            (None, Err(error)) => {
                let text = DisplayErrorContext(&error).to_string();
                format!(r#"{{"ok":false,"millis":{millis},"error":{}}}"#, json(&text))
            }
            (None, Ok(_)) => unreachable!("no call is sent"),
        }
    }
}

fn json(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out + "\""
}

fn reply(line: String) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

async fn fresh() -> (Application, String) {
    let start = Instant::now();
    let application = Application::start().await;
    let line = application.resolve(start).await;
    (application, line)
}

#[tokio::main]
async fn main() {
    let mut living = None;
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["fresh"] => {
                let (application, line) = fresh().await;
                living = Some(application);
                reply(line);
            }
            ["again"] => reply(living.as_ref().expect("fresh comes first").resolve(Instant::now()).await),
            ["burst", count] => {
                let all: Vec<_> = (0..count.parse().unwrap()).map(|_| tokio::spawn(fresh())).collect();
                for one in all {
                    reply(one.await.unwrap().1);
                }
            }
            _ => panic!("no such command: {line}"),
        }
    }
}
