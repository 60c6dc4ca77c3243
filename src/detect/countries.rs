//! How far countries lie apart, as far as a traveller's fastest way is concerned: their middles and
//! how far they reach, in whole degrees and hundreds of kilometres. Good enough to say that nobody
//! is in two of them within the hour; what lies in doubt is said of none.

const EARTH_KM: f64 = 6_371.0;

/// Kilometres between the nearest points of two countries, or less. `None`: one is not known.
pub(super) fn apart(a: &str, b: &str) -> Option<f64> {
    let ((lat_a, lon_a, reach_a), (lat_b, lon_b, reach_b)) = (find(a)?, find(b)?);
    let (p, q) = (f64::from(lat_a).to_radians(), f64::from(lat_b).to_radians());
    let turn = (f64::from(lon_a) - f64::from(lon_b)).to_radians();
    // Haversine.
    let h = ((p - q) / 2.0).sin().powi(2) + p.cos() * q.cos() * (turn / 2.0).sin().powi(2);
    let middles = 2.0 * EARTH_KM * h.sqrt().min(1.0).asin();
    let reach = 100.0 * (f64::from(reach_a) + f64::from(reach_b));
    Some((middles - reach).max(0.0))
}

fn find(code: &str) -> Option<(i8, i16, u8)> {
    let at = PLACES.binary_search_by_key(&code, |(c, ..)| c).ok()?;
    let (_, lat, lon, reach) = PLACES[at];
    Some((lat, lon, reach))
}

/// ISO 3166-1, latitude, longitude, reach; sorted.
const PLACES: [(&str, i8, i16, u8); 175] = [
    ("AD", 42, 1, 1),
    ("AE", 24, 54, 3),
    ("AF", 33, 66, 7),
    ("AL", 41, 20, 2),
    ("AM", 40, 45, 2),
    ("AO", -12, 18, 8),
    ("AR", -35, -65, 20),
    ("AT", 47, 14, 4),
    ("AU", -25, 134, 22),
    ("AZ", 40, 48, 3),
    ("BA", 44, 18, 2),
    ("BB", 13, -60, 1),
    ("BD", 24, 90, 4),
    ("BE", 51, 4, 2),
    ("BF", 12, -2, 5),
    ("BG", 43, 25, 3),
    ("BH", 26, 50, 1),
    ("BI", -3, 30, 2),
    ("BJ", 9, 2, 4),
    ("BN", 5, 115, 1),
    ("BO", -17, -65, 8),
    ("BR", -10, -52, 23),
    ("BS", 24, -76, 4),
    ("BT", 27, 90, 2),
    ("BW", -22, 24, 6),
    ("BY", 53, 28, 4),
    ("BZ", 17, -88, 2),
    ("CA", 57, -98, 32),
    ("CD", -3, 23, 12),
    ("CF", 7, 21, 8),
    ("CG", -1, 15, 6),
    ("CH", 47, 8, 2),
    ("CI", 8, -6, 5),
    ("CL", -35, -71, 25),
    ("CM", 6, 12, 7),
    ("CN", 35, 103, 27),
    ("CO", 4, -73, 9),
    ("CR", 10, -84, 3),
    ("CU", 22, -79, 7),
    ("CY", 35, 33, 1),
    ("CZ", 50, 15, 3),
    ("DE", 51, 10, 5),
    ("DJ", 12, 43, 2),
    ("DK", 56, 10, 3),
    ("DO", 19, -70, 3),
    ("DZ", 28, 3, 12),
    ("EC", -1, -79, 7),
    ("EE", 59, 26, 2),
    ("EG", 27, 30, 7),
    ("ER", 15, 39, 5),
    ("ES", 40, -4, 7),
    ("ET", 9, 40, 9),
    ("FI", 64, 26, 6),
    ("FJ", -18, 178, 3),
    ("FR", 46, 2, 6),
    ("GA", -1, 12, 4),
    ("GB", 54, -3, 6),
    ("GE", 42, 43, 3),
    ("GH", 8, -1, 4),
    ("GL", 72, -40, 14),
    ("GM", 13, -15, 2),
    ("GN", 11, -10, 5),
    ("GQ", 2, 10, 3),
    ("GR", 39, 22, 5),
    ("GT", 16, -90, 3),
    ("GY", 5, -59, 5),
    ("HK", 22, 114, 1),
    ("HN", 15, -86, 4),
    ("HR", 45, 16, 3),
    ("HT", 19, -72, 2),
    ("HU", 47, 19, 3),
    ("ID", -2, 118, 26),
    ("IE", 53, -8, 3),
    ("IL", 31, 35, 3),
    ("IN", 22, 79, 17),
    ("IQ", 33, 44, 6),
    ("IR", 32, 54, 12),
    ("IS", 65, -19, 3),
    ("IT", 43, 12, 7),
    ("JM", 18, -77, 1),
    ("JO", 31, 36, 3),
    ("JP", 37, 138, 15),
    ("KE", 0, 38, 6),
    ("KG", 41, 75, 5),
    ("KH", 13, 105, 3),
    ("KP", 40, 127, 4),
    ("KR", 36, 128, 4),
    ("KW", 29, 48, 1),
    ("KZ", 48, 67, 16),
    ("LA", 18, 105, 6),
    ("LB", 34, 36, 1),
    ("LI", 47, 10, 1),
    ("LK", 8, 81, 3),
    ("LR", 6, -9, 3),
    ("LS", -30, 28, 2),
    ("LT", 55, 24, 3),
    ("LU", 50, 6, 1),
    ("LV", 57, 25, 3),
    ("LY", 27, 18, 9),
    ("MA", 32, -6, 8),
    ("MC", 44, 7, 1),
    ("MD", 47, 29, 2),
    ("ME", 43, 19, 1),
    ("MG", -19, 47, 8),
    ("MK", 42, 22, 1),
    ("ML", 17, -3, 10),
    ("MM", 21, 96, 11),
    ("MN", 47, 104, 13),
    ("MO", 22, 114, 1),
    ("MR", 20, -10, 8),
    ("MT", 36, 14, 1),
    ("MU", -20, 58, 1),
    ("MV", 3, 73, 5),
    ("MW", -13, 34, 5),
    ("MX", 24, -102, 18),
    ("MY", 4, 109, 11),
    ("MZ", -18, 35, 11),
    ("NA", -22, 17, 8),
    ("NE", 17, 9, 9),
    ("NG", 9, 8, 7),
    ("NI", 13, -85, 3),
    ("NL", 52, 5, 2),
    ("NO", 64, 13, 11),
    ("NP", 28, 84, 5),
    ("NZ", -42, 173, 9),
    ("OM", 21, 57, 6),
    ("PA", 9, -80, 4),
    ("PE", -9, -75, 11),
    ("PG", -6, 145, 9),
    ("PH", 12, 122, 10),
    ("PK", 30, 69, 10),
    ("PL", 52, 19, 4),
    ("PR", 18, -66, 1),
    ("PT", 39, -8, 15),
    ("PY", -23, -58, 6),
    ("QA", 25, 51, 1),
    ("RO", 46, 25, 4),
    ("RS", 44, 21, 3),
    ("RU", 61, 98, 45),
    ("RW", -2, 30, 2),
    ("SA", 24, 45, 11),
    ("SD", 15, 30, 10),
    ("SE", 62, 15, 9),
    ("SG", 1, 104, 1),
    ("SI", 46, 15, 2),
    ("SK", 49, 20, 3),
    ("SL", 9, -12, 2),
    ("SN", 14, -14, 4),
    ("SO", 6, 46, 9),
    ("SR", 4, -56, 3),
    ("SV", 14, -89, 2),
    ("SY", 35, 39, 4),
    ("SZ", -27, 31, 1),
    ("TD", 15, 19, 10),
    ("TG", 9, 1, 3),
    ("TH", 15, 101, 9),
    ("TJ", 39, 71, 4),
    ("TM", 39, 59, 6),
    ("TN", 34, 9, 4),
    ("TR", 39, 35, 8),
    ("TT", 10, -61, 1),
    ("TW", 24, 121, 2),
    ("TZ", -6, 35, 8),
    ("UA", 49, 32, 7),
    ("UG", 1, 32, 4),
    ("US", 40, -98, 40),
    ("UY", -33, -56, 3),
    ("UZ", 41, 64, 8),
    ("VE", 7, -66, 8),
    ("VN", 16, 107, 10),
    ("XK", 43, 21, 1),
    ("YE", 15, 48, 6),
    ("ZA", -29, 25, 10),
    ("ZM", -13, 28, 9),
    ("ZW", -19, 30, 5),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_on_earth() {
        assert!(PLACES.windows(2).all(|w| w[0].0 < w[1].0));
        for (code, lat, lon, reach) in PLACES {
            assert!(code.len() == 2 && (-90..=90).contains(&lat), "{code}");
            assert!(
                (-180..=180).contains(&lon) && (1..=45).contains(&reach),
                "{code}"
            );
        }
    }

    #[test]
    fn neighbours_are_near_and_continents_are_far() {
        for (a, b) in [
            ("DE", "FR"),
            ("US", "CA"),
            ("RU", "CN"),
            ("IN", "PK"),
            ("NL", "GB"),
        ] {
            assert!(apart(a, b).unwrap() < 500.0, "{a} {b}: {:?}", apart(a, b));
        }
        for (a, b) in [
            ("DE", "JP"),
            ("US", "CN"),
            ("GB", "NG"),
            ("BR", "RU"),
            ("AU", "ZA"),
        ] {
            assert!(apart(a, b).unwrap() > 3_000.0, "{a} {b}: {:?}", apart(a, b));
            assert_eq!(apart(a, b), apart(b, a));
        }
        assert_eq!(apart("DE", "??"), None);
        assert_eq!(apart("DE", "DE"), Some(0.0));
    }
}
