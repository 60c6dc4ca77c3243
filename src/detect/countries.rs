//! How far two countries are from each other, roughly: by the middle of each.

/// ISO 3166-1 code, latitude and longitude of the country's middle in degrees.
static MIDDLES: &str = "\
    AD+43+2 AE+24+54 AF+33+65 AL+41+20 AM+40+45 AO-12+18 AR-34-64 AT+47+13 AU-27+133 \
    AZ+40+48 BA+44+18 BB+13-59 BD+24+90 BE+51+4 BF+13-2 BG+43+25 BH+26+51 BI-3+30 BJ+10+2 \
    BN+5+115 BO-17-65 BR-10-55 BS+24-76 BT+27+90 BW-22+24 BY+53+28 BZ+17-89 CA+56-96 CD-3+23 \
    CF+7+21 CG-1+15 CH+47+8 CI+8-5 CL-33-71 CM+6+12 CN+35+105 CO+4-72 CR+10-84 CU+22-80 \
    CV+16-24 CY+35+33 CZ+50+15 DE+51+10 DJ+12+43 DK+56+10 DM+15-61 DO+19-71 DZ+28+3 EC-2-78 \
    EE+59+26 EG+27+30 ER+15+39 ES+40-4 ET+8+38 FI+64+26 FJ-18+178 FM+7+158 FR+46+2 GA-1+12 \
    GB+54-2 GD+12-62 GE+42+44 GH+8-1 GM+13-16 GN+11-10 GQ+2+10 GR+39+22 GT+15-90 GW+12-15 \
    GY+5-59 HK+22+114 HN+15-86 HR+45+16 HT+19-72 HU+47+20 ID-3+118 IE+53-8 IL+31+35 IN+21+78 \
    IQ+33+44 IR+32+53 IS+65-18 IT+43+12 JM+18-77 JO+31+36 JP+36+138 KE+0+38 KG+41+75 \
    KH+13+105 KI+1+173 KM-12+44 KN+17-63 KP+40+127 KR+37+128 KW+29+48 KZ+48+68 LA+18+105 \
    LB+34+36 LC+14-61 LI+47+10 LK+7+81 LR+6-9 LS-29+28 LT+55+24 LU+50+6 LV+57+25 LY+27+17 \
    MA+32-6 MC+44+7 MD+47+29 ME+43+19 MG-19+47 MH+7+171 MK+42+22 ML+17-4 MM+21+96 MN+46+104 \
    MR+20-11 MT+36+14 MU-20+58 MV+3+73 MW-13+34 MX+23-102 MY+3+110 MZ-18+35 NA-22+17 NE+17+9 \
    NG+9+8 NI+13-85 NL+52+5 NO+62+10 NP+28+84 NR-1+167 NZ-41+174 OM+21+56 PA+9-80 PE-9-75 \
    PG-6+145 PH+12+122 PK+30+70 PL+52+19 PR+18-66 PT+39-8 PW+7+134 PY-23-58 QA+25+51 \
    RO+46+25 RS+44+21 RU+60+90 RW-2+30 SA+24+45 SB-9+160 SC-5+56 SD+15+30 SE+62+15 SG+1+104 \
    SI+46+15 SK+49+20 SL+9-12 SM+44+12 SN+14-14 SO+6+46 SR+4-56 SS+8+30 ST+0+7 SV+14-89 \
    SY+35+38 SZ-27+31 TD+15+19 TG+8+1 TH+15+101 TJ+39+71 TL-9+126 TM+39+60 TN+34+9 TO-20-175 \
    TR+39+35 TT+11-61 TV-8+179 TW+24+121 TZ-6+35 UA+49+32 UG+1+32 US+39-98 UY-33-56 UZ+41+64 \
    VC+13-61 VE+7-66 VN+16+107 VU-16+167 WS-14-172 YE+15+48 ZA-29+24 ZM-15+28 ZW-19+30";
/// Countries that stretch over thousands of kilometres, and how far from the middle one may be.
const WIDE: [&str; 7] = ["AU", "BR", "CA", "CN", "IN", "RU", "US"];
const FAR_OUT: f64 = 2_500.0;
const NEAR_BY: f64 = 700.0;
const EARTH: f64 = 6_371.0;

/// Kilometres that lie at least between someone in the one and someone in the other; none where
/// either is not known.
pub(super) fn apart(one: &str, other: &str) -> Option<f64> {
    let (a, b) = (middle(one)?, middle(other)?);
    let cosine = a.0.sin() * b.0.sin() + a.0.cos() * b.0.cos() * (a.1 - b.1).cos();
    let middles = EARTH * cosine.clamp(-1.0, 1.0).acos();
    Some((middles - reach(one) - reach(other)).max(0.0))
}

fn middle(country: &str) -> Option<(f64, f64)> {
    if country.len() != 2 {
        return None;
    }
    let degrees = MIDDLES
        .split_ascii_whitespace()
        .find_map(|place| place.strip_prefix(country))?;
    // The second sign parts the two numbers.
    let (latitude, longitude) = degrees.split_at(degrees.rfind(['+', '-'])?);
    let radians = |text: &str| text.parse::<f64>().ok().map(f64::to_radians);
    Some((radians(latitude)?, radians(longitude)?))
}

fn reach(country: &str) -> f64 {
    if WIDE.contains(&country) {
        FAR_OUT
    } else {
        NEAR_BY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_about_right_and_the_table_reads() {
        let codes = MIDDLES.split_ascii_whitespace().map(|place| &place[..2]);
        assert!(codes.clone().count() > 190 && codes.clone().all(|c| middle(c).is_some()));
        assert_eq!(apart("DE", "CH"), Some(0.0));
        assert_eq!(apart("US", "CA"), Some(0.0));
        let far = apart("DE", "JP").unwrap();
        assert!((7_000.0..9_000.0).contains(&far), "{far}");
        assert_eq!(apart("DE", "ZZ"), None);
    }
}
