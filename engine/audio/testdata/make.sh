#!/bin/sh
# Makes the speech used by the tests. Needs espeak-ng and sox (Debian packages of the same names).
set -eu
cd "$(dirname "$0")"
raw=$(mktemp --suffix=.wav)
trap 'rm -f "$raw"' EXIT
say() { # voice speed text rate file
    espeak-ng -v "$1" -s "$2" -w "$raw" "$3"
    sox -D "$raw" -r "$4" -b 16 "$5" gain -n -8
}
say en-gb 160 "Four hundred lines are off hook, and she sells the sixth one to Oxford." 16000 speech_16k.wav
say en-us 150 "Hello?" 8000 hello_8k.wav
say en-us+f3 165 "Hi, you have reached the Carter family. We cannot come to the phone right now. Please leave a message after the tone." 8000 greeting_8k.wav
