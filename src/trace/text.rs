//! Values of records as people write them, and back: `ECONNREFUSED`, `connect`, `SYN,ACK`,
//! `timer timewait`.

use crate::ipc::record::Api;
use crate::ipc::{Errno, SocketId};
use crate::tcp::{Cause, Timer};
use crate::wire::Flags;

/// A value that is written as a word; `None` where there is none to write.
pub(super) trait Text: Sized {
    fn to_text(&self) -> Option<String>;
    fn of_text(text: Option<&str>) -> Option<Self>;
}

impl Text for Flags {
    fn to_text(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn of_text(text: Option<&str>) -> Option<Flags> {
        Flags::of_names(text?)
    }
}

impl Text for Api {
    fn to_text(&self) -> Option<String> {
        Some(self.name().to_owned())
    }

    fn of_text(text: Option<&str>) -> Option<Api> {
        Api::of_name(text?)
    }
}

impl Text for Option<Errno> {
    fn to_text(&self) -> Option<String> {
        self.map(|errno| match errno.name() {
            "E?" => errno.0.to_string(),
            name => name.to_owned(),
        })
    }

    fn of_text(text: Option<&str>) -> Option<Option<Errno>> {
        let Some(text) = text else { return Some(None) };
        let errno = Errno::of_name(text).or_else(|| text.parse().ok().map(Errno));
        errno.map(Some)
    }
}

impl Text for Option<SocketId> {
    fn to_text(&self) -> Option<String> {
        self.map(|id| format!("{id:?}"))
    }

    fn of_text(text: Option<&str>) -> Option<Option<SocketId>> {
        let Some(text) = text else { return Some(None) };
        u64::from_str_radix(text, 16).ok().map(|id| Some(SocketId(id)))
    }
}

impl Text for Cause {
    fn to_text(&self) -> Option<String> {
        Some(match self {
            Cause::Open => "connect()".to_owned(),
            Cause::Listen => "listen()".to_owned(),
            Cause::Close => "close()".to_owned(),
            Cause::Shutdown => "shutdown(SHUT_WR)".to_owned(),
            Cause::Abort => "abort".to_owned(),
            Cause::TakenOver => "taken over".to_owned(),
            Cause::Segment(flags) => format!("rcv {flags}"),
            Cause::Timer(timer) => format!("timer {timer:?}"),
        })
    }

    fn of_text(text: Option<&str>) -> Option<Cause> {
        let text = text?;
        if let Some(flags) = text.strip_prefix("rcv ") {
            return Flags::of_names(flags).map(Cause::Segment);
        }
        if let Some(name) = text.strip_prefix("timer ") {
            let timer = Timer::ALL.into_iter().find(|timer| format!("{timer:?}") == name);
            return timer.map(Cause::Timer);
        }
        let plain = [
            Cause::Open,
            Cause::Listen,
            Cause::Close,
            Cause::Shutdown,
            Cause::Abort,
            Cause::TakenOver,
        ];
        plain.into_iter().find(|cause| cause.to_text().as_deref() == Some(text))
    }
}
