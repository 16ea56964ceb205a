//! A value of the control protocol, whatever it was written in.

/// A value: what bencode and JSON have in common. Text is bytes, since a tag or a call-id need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Int(i64),
    /// Text or bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// A dictionary, in the order in which it was written.
    Dict(Dict),
}

/// A dictionary that keeps its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dict(pub Vec<(Vec<u8>, Value)>);

impl Value {
    /// The bytes of a text.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Int(_) | Self::List(_) | Self::Dict(_) => None,
        }
    }

    /// A text that is UTF-8.
    pub fn text(&self) -> Option<&str> {
        self.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// A number, or a text that is one: clients write both.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bytes(_) => self.text()?.trim().parse().ok(),
            Self::List(_) | Self::Dict(_) => None,
        }
    }

    /// The texts of a list; a single text is a list of one.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::List(list) => list.iter().filter_map(Self::text).collect(),
            Self::Bytes(_) => self.text().into_iter().collect(),
            Self::Int(_) | Self::Dict(_) => Vec::new(),
        }
    }
}

impl Dict {
    /// The value of a key. `-`, `_` and a space are the same in a key, and so are capitals and small letters, as rtpengine's
    /// clients write `received from` and `received-from`.
    pub fn find(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| same_key(known, key.as_bytes())).map(|(_, value)| value)
    }

    /// The text of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.find(key).and_then(Value::text)
    }

    /// The bytes of a key.
    pub fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.find(key).and_then(Value::bytes)
    }

    /// The texts of a key; none when it is absent.
    pub fn texts(&self, key: &str) -> Vec<&str> {
        self.find(key).map(Value::texts).unwrap_or_default()
    }

    /// Adds a key.
    pub fn put(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        self.0.push((key.as_bytes().to_vec(), value.into()));
        self
    }

    /// The same with a key more.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.put(key, value);
        self
    }
}

/// Whether two keys or flags are the same to rtpengine's clients.
pub(crate) fn same_key(one: &[u8], other: &[u8]) -> bool {
    let plain = |byte: &u8| match byte {
        b' ' | b'_' => b'-',
        byte => byte.to_ascii_lowercase(),
    };
    one.len() == other.len() && one.iter().map(plain).eq(other.iter().map(plain))
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Int(number.into())
    }
}

impl From<Vec<Value>> for Value {
    fn from(list: Vec<Value>) -> Self {
        Self::List(list)
    }
}

impl From<Dict> for Value {
    fn from(dict: Dict) -> Self {
        Self::Dict(dict)
    }
}
