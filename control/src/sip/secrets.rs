//! SRTP in offers and answers: which lines we write, and what is agreed (SDES, RFC 4568).

use offhook_proto::{Crypto, Srtp, SrtpKey, SrtpKeys, SrtpSuite};

/// Whether calls of one side are encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Never.
    #[default]
    Off,
    /// Where the peer can.
    Optional,
    /// Always: a peer that cannot is not talked to.
    Required,
}

/// Our keys of one call, one for each suite. They are made with the call and stay the same in all its offers and answers.
#[derive(Clone, Debug)]
pub(crate) struct Secrets {
    pub(crate) security: Security,
    keys: Vec<SrtpKey>,
}

/// What we offer, in this order. The others are taken when the peer offers them.
const OFFERED: [SrtpSuite; 3] =
    [SrtpSuite::AeadAes256Gcm, SrtpSuite::AeadAes128Gcm, SrtpSuite::AesCm128HmacSha1_80];

impl Secrets {
    /// Fresh keys.
    pub(crate) fn new(security: Security) -> Self {
        let suites = if security == Security::Off { &[][..] } else { &SrtpSuite::ALL[..] };
        let keys = suites.iter().map(|&suite| {
            let bytes = suite.key_bytes() + suite.salt_bytes();
            SrtpKey { suite, key: (0..bytes).map(|_| rand::random::<u8>()).collect() }
        });
        Self { security, keys: keys.collect() }
    }

    /// The lines of an offer.
    pub(crate) fn offer(&self) -> Vec<Crypto> {
        let keys = OFFERED.iter().filter_map(|&suite| self.key(suite));
        keys.zip(1..).map(|(key, tag)| Crypto { tag, key: key.clone() }).collect()
    }

    /// Our line in an answer to an offer with these lines, and what is agreed: the offer's first that we know.
    pub(crate) fn answer(&self, offered: &[Crypto]) -> Option<(Crypto, Srtp)> {
        let theirs = offered.first()?;
        let ours = self.key(theirs.key.suite)?.clone();
        let agreed = SrtpKeys { receive: Some(theirs.key.clone()), send: Some(ours.clone()) };
        Some((Crypto { tag: theirs.tag, key: ours }, Srtp::from(agreed)))
    }

    /// What is agreed by an answer with these lines to [`Self::offer`].
    pub(crate) fn accept(&self, answered: &[Crypto]) -> Option<Srtp> {
        let offer = self.offer();
        let agreed = answered.iter().find_map(|theirs| {
            let ours =
                offer.iter().find(|ours| ours.tag == theirs.tag && ours.key.suite == theirs.key.suite)?;
            Some(SrtpKeys { receive: Some(theirs.key.clone()), send: Some(ours.key.clone()) })
        });
        agreed.map(Srtp::from)
    }

    fn key(&self, suite: SrtpSuite) -> Option<&SrtpKey> {
        self.keys.iter().find(|key| key.suite == suite)
    }
}
