#!/bin/sh
# Makes the prompts that the engine ships: 8 kHz, 16 bit, mono WAV. Needs espeak-ng and sox.
# Run it here: ./make.sh. The output is repeatable with the same versions of the two tools.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# say NAME TEXT: speech, without silence at either end, at a level near -20 dBm0.
say() {
    espeak-ng -v en-us+f3 -s 150 -p 45 -w "$work/$1.wav" "$2"
    sox -R "$work/$1.wav" -r 8000 -b 16 -c 1 "$1.wav" \
        highpass 200 silence 1 0.01 0.5% fade t 0.005 reverse silence 1 0.01 0.5% fade t 0.02 reverse \
        gain -n -6 pad 0.02 0.1
}

number=0
for word in zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen \
            eighteen nineteen twenty; do
    say "$number" "$word"
    number=$((number + 1))
done
number=30
for word in thirty forty fifty sixty seventy eighty ninety; do
    say "$number" "$word"
    number=$((number + 10))
done
for word in hundred thousand million; do
    say "$word" "$word"
done
say position "Your place in the queue is"
say wait_minutes "Your estimated waiting time, in minutes, is"
say pin_intro "Your pin is"
say pin_ok "Thank you. Your connection is now open."
say wrong_pin "That pin is not right. Please try again."
say access_code "Please enter your access code. If you have none, stay on the line."
say wrong_code "That code is not right. Please try again."
say connected "You are connected."
say callback_confirm "We will call you back as soon as it is your turn. Your place in the queue is kept."
say callback_menu "To be called back without losing your place in the queue, press one. To keep waiting, stay on the line."
say thank_you "Thank you. Good bye."
say please_wait "Please wait. The next free agent will be with you."
say hold "Please hold the line."

sox -R -n -r 8000 -b 16 -c 1 beep.wav synth 0.2 sine 1000 gain -9 fade t 0.005 0.2 0.005

# chord SECONDS NOTE...: plucked strings, one after another, ringing into each other.
chord() {
    length=$1
    shift
    voices=""
    delays=""
    at=0
    for note in "$@"; do
        voices="$voices pluck $note"
        delays="$delays $at"
        at=$(echo "$at + 0.3" | bc)
    done
    count=$#
    mix=$(seq -s, 1 "$count")
    sox -R -n -r 8000 -b 16 -c "$count" "$work/chord.wav" synth "$length" $voices delay $delays remix "$mix" \
        trim 0 "$length" gain -n -10 fade t 0.01 "$length" 0.4
}

# Eight bars of C, a minor, F and G: a loop without a seam, since every bar starts and ends in silence.
bars=""
index=0
for bar in "C3 G3 E4 C4 G4 E4 C4 G3" "A2 E3 C4 A3 E4 C4 A3 E3" "F2 C3 A3 F3 C4 A3 F3 C3" "G2 D3 B3 G3 D4 B3 G3 D3" \
           "C3 E3 G3 C4 E4 C4 G3 E3" "A2 C3 E3 A3 C4 A3 E3 C3" "F2 A2 C3 F3 A3 F3 C3 A2" "G2 B2 D3 G3 B3 D4 B3 G3"; do
    # shellcheck disable=SC2086
    chord 2.4 $bar
    mv "$work/chord.wav" "$work/bar$index.wav"
    bars="$bars $work/bar$index.wav"
    index=$((index + 1))
done
# shellcheck disable=SC2086
sox -R $bars -b 16 -c 1 music.wav lowpass 3200 reverb 20 norm -10
