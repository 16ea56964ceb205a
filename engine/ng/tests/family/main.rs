//! The family alone, with an engine made of answers.

mod any;
mod calls;
mod descriptions;
mod parties;
mod playing;
mod recording;
mod transcoding;
mod world;
