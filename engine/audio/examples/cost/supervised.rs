//! A supervised call as the engine makes it: each of the three hears a mix of the other two.

use offhook_audio::codec::{Codec, OpusConfig};
use offhook_audio::mix_minus::MixMinus;
use offhook_audio::packetise::Packetiser;

/// Three who speak and hear in one codec, in packets of 20 ms.
pub(crate) struct SupervisedCall {
    mixes: [MixMinus; 3],
    /// What is said, over and over; each is at another place in it.
    packets: Vec<Vec<u8>>,
    packet_ts: u32,
    ticks: u32,
}

impl SupervisedCall {
    /// A call in which all three are heard, of speech at 16 kHz.
    pub(crate) fn new(codec: Codec, speech: &[i16]) -> Self {
        let opus = OpusConfig::default();
        let mut speaker = Packetiser::new(16_000, codec, 20, &opus).expect("a speaker");
        let (mut payload, mut packets) = ([0; Packetiser::MAX_PAYLOAD], Vec::new());
        for frame in speech.chunks(320) {
            speaker.push(frame);
            while let Some(Ok(sent)) = speaker.poll(&mut payload) {
                packets.push(payload[..sent.len].to_vec());
            }
        }
        let mixes = [(); 3].map(|()| {
            let mut mix = MixMinus::new(codec, 20, &opus, &[codec, codec]).expect("a mix");
            mix.set_audible(0, true);
            mix.set_audible(1, true);
            mix
        });
        Self { mixes, packets, packet_ts: codec.ptime_ts(20), ticks: 0 }
    }

    /// Lets everybody say 20 ms and hear the others. Returns the bytes that are sent.
    pub(crate) fn tick(&mut self) -> usize {
        let (now_us, ts) = (u64::from(self.ticks) * 20_000, self.ticks.wrapping_mul(self.packet_ts));
        let mut sent = 0;
        for (hearer, mix) in self.mixes.iter_mut().enumerate() {
            for (voice, speaker) in (0..3).filter(|speaker| *speaker != hearer).enumerate() {
                let at = (self.ticks as usize + speaker * self.packets.len() / 3) % self.packets.len();
                mix.on_audio(voice, now_us, self.ticks as u16, ts, &self.packets[at]);
                // The pair are shown each other's own packets too, to go back to.
                if hearer < 2 && voice == 0 {
                    mix.on_direct(&self.packets[at]);
                }
            }
            let mut out = [0; Packetiser::MAX_PAYLOAD];
            sent += mix.tick(now_us, &mut out).expect("room").len;
        }
        self.ticks = self.ticks.wrapping_add(1);
        sent
    }
}
