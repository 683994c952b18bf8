//! The device API over HTTPS: messages by POST, commands and direct methods by requests that wait.
//!
//! One connection of HTTP/2, or as many of HTTP/1.1 as requests are under way, where the hub has
//! no better. Messages go one request after the other, so that they stay in order; those that
//! wait meanwhile go together as a batch. There are no twins.

mod batch;
mod device_api;

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Credentials, End, Happening, Overrun, Settlement};
use batch::{Batch, Message};
use device_api::{Call, DeviceApi, LockedCommand};

/// How long the hub is asked to wait for a command or a call.
const WAIT: Duration = Duration::from_secs(30);
/// Happenings the device has not looked at.
const HAPPENINGS_MAX: usize = 64;

/// What a device has answered to a call.
struct MethodAnswer {
    request_id: String,
    status: u16,
    body: String,
}

/// What a device says of the command under a lock.
struct Settled {
    lock: String,
    settlement: Settlement,
}

/// What a device wants sent.
struct Requests {
    messages: mpsc::Sender<Message>,
    answers: mpsc::Sender<MethodAnswer>,
    settled: mpsc::Sender<Settled>,
}

type Happenings = mpsc::Sender<Happening<LockedCommand>>;

/// One conversation of a device.
pub(crate) struct Connection {
    /// None once the device has said goodbye.
    requests: Option<Requests>,
    happenings: mpsc::Receiver<Happening<LockedCommand>>,
    /// Makes the requests. Kept when `next` is dropped, so that none is cut off.
    conversation: Pin<Box<dyn Future<Output = End> + Send>>,
    /// How the conversation ended, until everything before was looked at.
    end: Option<End>,
}

impl super::Connection for Connection {
    type Command = LockedCommand;

    fn open(credentials: &Credentials, address: SocketAddr, in_flight: u16) -> anyhow::Result<Self> {
        let api = DeviceApi::new(credentials, address)?;
        // A device is asked for one answer at a time.
        let (messages, answers, settled) = (mpsc::channel(in_flight.into()), mpsc::channel(1), mpsc::channel(1));
        let (teller, happenings) = mpsc::channel(HAPPENINGS_MAX);
        let conversation = async move {
            match converse(&api, messages.1, answers.1, settled.1, &teller).await {
                Ok(()) => End::Disconnected,
                Err(end) => end,
            }
        };
        let requests = Requests { messages: messages.0, answers: answers.0, settled: settled.0 };
        Ok(Self { requests: Some(requests), happenings, conversation: Box::pin(conversation), end: None })
    }

    async fn next(&mut self) -> Result<Happening<LockedCommand>, End> {
        loop {
            tokio::select! {
                biased;
                happening = self.happenings.recv() => return match happening {
                    Some(happening) => Ok(happening),
                    None => Err(self.end.take().unwrap_or(End::Disconnected)),
                },
                end = &mut self.conversation, if self.end.is_none() => self.end = Some(end),
            }
        }
    }

    /// Nothing to ask for: the waiting requests are under way, and the device is told so at once.
    fn subscribe(&self) -> Result<(), Overrun> {
        Ok(())
    }

    fn send_telemetry(&self, number: u64, body: Bytes) -> Result<(), Overrun> {
        self.queue(|requests| &requests.messages, Message { number, body })
    }

    /// There are no twins over HTTPS.
    fn read_twin(&self) -> Result<(), Overrun> {
        Ok(())
    }

    /// There are no twins over HTTPS.
    fn report(&self, _: String) -> Result<(), Overrun> {
        Ok(())
    }

    fn answer_method(&self, request_id: &str, status: u16, body: String) -> Result<(), Overrun> {
        self.queue(|requests| &requests.answers, MethodAnswer { request_id: request_id.to_owned(), status, body })
    }

    fn settle(&self, command: LockedCommand, wanted: Settlement) -> Result<Settlement, Overrun> {
        self.queue(|requests| &requests.settled, Settled { lock: command.lock, settlement: wanted })?;
        Ok(wanted)
    }

    fn disconnect(&mut self) -> Result<(), Overrun> {
        self.requests = None;
        Ok(())
    }
}

impl Connection {
    fn queue<T>(&self, queue: fn(&Requests) -> &mpsc::Sender<T>, item: T) -> Result<(), Overrun> {
        let requests = self.requests.as_ref().ok_or(Overrun)?;
        queue(requests).try_send(item).map_err(|_| Overrun)
    }
}

/// Speaks to the hub until the device has said goodbye and everything it wanted is sent.
async fn converse(
    api: &DeviceApi,
    messages: mpsc::Receiver<Message>,
    answers: mpsc::Receiver<MethodAnswer>,
    settled: mpsc::Receiver<Settled>,
    teller: &Happenings,
) -> Result<(), End> {
    // A first look that does not wait: whoever gets an answer has been let in.
    let first = api.next_command(Duration::ZERO).await?;
    tell(teller, Happening::Connected).await;
    // Nothing needs to be asked for before it comes: each request that waits does so itself.
    tell(teller, Happening::Subscribed).await;
    tokio::try_join!(send(api, messages, teller), take_commands(api, first, settled, teller), take_calls(api, answers, teller))?;
    Ok(())
}

/// A device that is gone needs to be told nothing.
async fn tell(teller: &Happenings, happening: Happening<LockedCommand>) {
    let _ = teller.send(happening).await;
}

async fn send(api: &DeviceApi, mut messages: mpsc::Receiver<Message>, teller: &Happenings) -> Result<(), End> {
    let mut next = messages.recv().await;
    while let Some(message) = next {
        let mut batch = Batch::of(&api.device, message);
        next = loop {
            match messages.try_recv() {
                Ok(message) => match batch.add(&api.device, message) {
                    Ok(()) => {}
                    Err(message) => break Some(message),
                },
                Err(_) => break None,
            }
        };
        for tag in batch.numbers() {
            tell(teller, Happening::Sent { tag }).await;
        }
        api.send(&batch).await?;
        for tag in batch.numbers() {
            tell(teller, Happening::Acknowledged { tag }).await;
        }
        if next.is_none() {
            next = messages.recv().await;
        }
    }
    Ok(())
}

/// Takes one command after the other, beginning with the one that is `here` already.
async fn take_commands(
    api: &DeviceApi,
    mut here: Option<LockedCommand>,
    mut settled: mpsc::Receiver<Settled>,
    teller: &Happenings,
) -> Result<(), End> {
    loop {
        if let Some(command) = here {
            tell(teller, Happening::Command(command)).await;
            let Some(Settled { lock, settlement }) = settled.recv().await else { return Ok(()) };
            api.settle(&lock, settlement).await?;
        }
        here = tokio::select! {
            command = api.next_command(WAIT) => command?,
            // Nothing is settled while no command is here: the device has said goodbye.
            _ = settled.recv() => return Ok(()),
        };
    }
}

/// Takes one call after the other.
async fn take_calls(api: &DeviceApi, mut answers: mpsc::Receiver<MethodAnswer>, teller: &Happenings) -> Result<(), End> {
    loop {
        let call = tokio::select! {
            call = api.next_call(WAIT) => call?,
            // Nothing is answered while no call is here: the device has said goodbye.
            _ = answers.recv() => return Ok(()),
        };
        let Some(Call { name, request_id, payload }) = call else { continue };
        tell(teller, Happening::Method { name, request_id, payload }).await;
        let Some(MethodAnswer { request_id, status, body }) = answers.recv().await else { return Ok(()) };
        api.answer(&request_id, status, body).await?;
    }
}
