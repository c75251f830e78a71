//! Text of bounded length without allocation; what does not fit is cut off.

use core::fmt;

/// Up to `N` octets of text.
pub(crate) struct Text<const N: usize> {
    len: usize,
    octets: [u8; N],
}

impl<const N: usize> Text<N> {
    pub(crate) const fn new() -> Text<N> {
        Text { len: 0, octets: [0; N] }
    }

    /// What `arguments` print.
    pub(crate) fn of(arguments: fmt::Arguments<'_>) -> Text<N> {
        let mut text = Text::new();
        let _ = fmt::Write::write_fmt(&mut text, arguments);
        text
    }

    pub(crate) fn push(&mut self, octets: &[u8]) {
        let rest = self.octets.get_mut(self.len..).unwrap_or_default();
        let len = octets.len().min(rest.len());
        for (to, from) in rest.iter_mut().zip(octets) {
            *to = *from;
        }
        self.len += len;
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}
