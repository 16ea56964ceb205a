//! Time zones by the beginning of a number: country codes of E.164, with every zone that people of the country live in.

use jiff::tz::TimeZone;

/// The zones of the country that a number, as digits without the sign for "international", belongs to.
pub(crate) fn of_number(digits: &str) -> Option<impl Iterator<Item = &'static str> + use<>> {
    let fits = |length: usize| {
        let beginning = digits.get(..length)?;
        ZONES.iter().find(|(code, _)| *code == beginning).map(|(_, zones)| *zones)
    };
    (1..=LONGEST).rev().find_map(fits).map(str::split_whitespace)
}

/// Whether there is such a zone.
pub(crate) fn is_known(zone: &str) -> bool {
    TimeZone::get(zone).is_ok()
}

const LONGEST: usize = 3;

/// Country code, and its zones with spaces between them. Zones that keep the same time as one that is named are left out.
const ZONES: [(&str, &str); 105] = [
    (
        "1",
        "America/St_Johns America/Halifax America/New_York America/Chicago America/Denver America/Los_Angeles \
         America/Anchorage Pacific/Honolulu",
    ),
    (
        "7",
        "Europe/Kaliningrad Europe/Moscow Europe/Samara Asia/Yekaterinburg Asia/Omsk Asia/Krasnoyarsk Asia/Irkutsk \
         Asia/Yakutsk Asia/Vladivostok Asia/Magadan Asia/Kamchatka Asia/Almaty",
    ),
    ("20", "Africa/Cairo"),
    ("27", "Africa/Johannesburg"),
    ("30", "Europe/Athens"),
    ("31", "Europe/Amsterdam"),
    ("32", "Europe/Brussels"),
    ("33", "Europe/Paris"),
    ("34", "Europe/Madrid Atlantic/Canary"),
    ("36", "Europe/Budapest"),
    ("39", "Europe/Rome"),
    ("40", "Europe/Bucharest"),
    ("41", "Europe/Zurich"),
    ("43", "Europe/Vienna"),
    ("44", "Europe/London"),
    ("45", "Europe/Copenhagen"),
    ("46", "Europe/Stockholm"),
    ("47", "Europe/Oslo"),
    ("48", "Europe/Warsaw"),
    ("49", "Europe/Berlin"),
    ("51", "America/Lima"),
    ("52", "America/Mexico_City America/Cancun America/Mazatlan America/Hermosillo America/Tijuana"),
    ("53", "America/Havana"),
    ("54", "America/Argentina/Buenos_Aires"),
    ("55", "America/Noronha America/Sao_Paulo America/Manaus America/Rio_Branco"),
    ("56", "America/Santiago America/Punta_Arenas Pacific/Easter"),
    ("57", "America/Bogota"),
    ("58", "America/Caracas"),
    ("60", "Asia/Kuala_Lumpur"),
    ("61", "Australia/Sydney Australia/Brisbane Australia/Adelaide Australia/Darwin Australia/Perth"),
    ("62", "Asia/Jakarta Asia/Makassar Asia/Jayapura"),
    ("63", "Asia/Manila"),
    ("64", "Pacific/Auckland Pacific/Chatham"),
    ("65", "Asia/Singapore"),
    ("66", "Asia/Bangkok"),
    ("81", "Asia/Tokyo"),
    ("82", "Asia/Seoul"),
    ("84", "Asia/Ho_Chi_Minh"),
    ("86", "Asia/Shanghai"),
    ("90", "Europe/Istanbul"),
    ("91", "Asia/Kolkata"),
    ("92", "Asia/Karachi"),
    ("93", "Asia/Kabul"),
    ("94", "Asia/Colombo"),
    ("95", "Asia/Yangon"),
    ("98", "Asia/Tehran"),
    ("212", "Africa/Casablanca"),
    ("213", "Africa/Algiers"),
    ("216", "Africa/Tunis"),
    ("218", "Africa/Tripoli"),
    ("221", "Africa/Dakar"),
    ("225", "Africa/Abidjan"),
    ("230", "Indian/Mauritius"),
    ("233", "Africa/Accra"),
    ("234", "Africa/Lagos"),
    ("237", "Africa/Douala"),
    ("244", "Africa/Luanda"),
    ("249", "Africa/Khartoum"),
    ("250", "Africa/Kigali"),
    ("251", "Africa/Addis_Ababa"),
    ("254", "Africa/Nairobi"),
    ("255", "Africa/Dar_es_Salaam"),
    ("256", "Africa/Kampala"),
    ("258", "Africa/Maputo"),
    ("260", "Africa/Lusaka"),
    ("263", "Africa/Harare"),
    ("264", "Africa/Windhoek"),
    ("267", "Africa/Gaborone"),
    ("351", "Europe/Lisbon Atlantic/Azores"),
    ("352", "Europe/Luxembourg"),
    ("353", "Europe/Dublin"),
    ("354", "Atlantic/Reykjavik"),
    ("355", "Europe/Tirane"),
    ("356", "Europe/Malta"),
    ("357", "Asia/Nicosia"),
    ("358", "Europe/Helsinki"),
    ("359", "Europe/Sofia"),
    ("370", "Europe/Vilnius"),
    ("371", "Europe/Riga"),
    ("372", "Europe/Tallinn"),
    ("373", "Europe/Chisinau"),
    ("375", "Europe/Minsk"),
    ("380", "Europe/Kyiv"),
    ("381", "Europe/Belgrade"),
    ("385", "Europe/Zagreb"),
    ("386", "Europe/Ljubljana"),
    ("420", "Europe/Prague"),
    ("421", "Europe/Bratislava"),
    ("502", "America/Guatemala"),
    ("503", "America/El_Salvador"),
    ("506", "America/Costa_Rica"),
    ("507", "America/Panama"),
    ("591", "America/La_Paz"),
    ("593", "America/Guayaquil Pacific/Galapagos"),
    ("595", "America/Asuncion"),
    ("598", "America/Montevideo"),
    ("852", "Asia/Hong_Kong"),
    ("853", "Asia/Macau"),
    ("855", "Asia/Phnom_Penh"),
    ("880", "Asia/Dhaka"),
    ("886", "Asia/Taipei"),
    ("961", "Asia/Beirut"),
    ("966", "Asia/Riyadh"),
    ("971", "Asia/Dubai"),
    ("972", "Asia/Jerusalem"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_08_every_zone_that_is_built_in_exists_and_no_code_begins_another() {
        for (code, zones) in ZONES {
            assert!(zones.split_whitespace().count() > 0);
            for zone in zones.split_whitespace() {
                assert!(is_known(zone), "{zone}");
            }
            let clash = |(other, _): &(&str, &str)| *other != code && other.starts_with(code);
            assert!(!ZONES.iter().any(clash), "{code}");
        }
        assert!(of_number("999").is_none());
        assert_eq!(of_number("31201234567").map(Iterator::count), Some(1));
    }
}
