//! The great-circle distance from a request to a deployment's region. It stands in for latency
//! until latency is measured, so an error of about a degree does not matter.

use super::places::{AREAS, COLOS, CONTINENTS, REGIONS};
use crate::vocabulary::facts::Place;

/// Latitude and longitude in degrees.
type Point = (f64, f64);

/// The mean radius of the Earth (IUGG).
const EARTH_RADIUS_KM: f64 = 6371.0;

/// Kilometres between the request and a deployment's region; `None` where either is unknown.
///
/// The place of the request is the first known one of: its hint, its coordinates, its colo, the
/// middle of its continent. Behind another Worker, coordinates and continent are those of
/// Cloudflare's egress and are ignored. The country is not used: where Cloudflare knows it, it also
/// knows the colo, which is more precise.
pub fn distance_km(place: &Place, region: &str) -> Option<f64> {
    Some(great_circle_km(locate(place)?, find(REGIONS, region)?))
}

/// Whether `name` is an Azure region: `westeurope`, `West Europe`.
pub fn is_region(name: &str) -> bool {
    find(REGIONS, name).is_some()
}

/// The programmatic names of Azure's regions, in alphabetical order.
pub fn regions() -> impl Iterator<Item = &'static str> {
    REGIONS.iter().map(|(name, ..)| *name)
}

/// The location hint for a Durable Object near the data centre that the request arrived at:
/// <https://developers.cloudflare.com/durable-objects/reference/data-location/>. The colo decides,
/// because this code runs there; the place of the client does not matter. If the colo is unknown,
/// the continent decides. Without either, the hint is `enam`.
pub fn location_hint(place: &Place) -> &'static str {
    let colo = place.colo.as_deref().and_then(|colo| find(COLOS, colo));
    let point = colo.or_else(|| place.continent.as_deref().and_then(|code| find(CONTINENTS, code)));
    point.map_or("enam", area)
}

/// The location hint of the first area that contains the point; `apac` if none does.
fn area((latitude, longitude): Point) -> &'static str {
    AREAS
        .iter()
        .find(|(_, latitudes, longitudes)| latitudes.contains(&latitude) && longitudes.contains(&longitude))
        .map_or("apac", |(hint, ..)| hint)
}

fn locate(place: &Place) -> Option<Point> {
    let egress = place.is_behind_worker;
    let hint = place.hint.as_deref();
    hint.and_then(|hint| find(REGIONS, hint).or_else(|| find(COLOS, hint)))
        .or_else(|| place.coordinates.filter(|point| !egress && is_on_earth(*point)))
        .or_else(|| place.colo.as_deref().and_then(|colo| find(COLOS, colo)))
        .or_else(|| place.continent.as_deref().filter(|_| !egress).and_then(|code| find(CONTINENTS, code)))
}

/// Looks up a name in a sorted table. Letter case and spaces are ignored.
fn find(table: &[(&str, f32, f32)], name: &str) -> Option<Point> {
    let wanted = || name.bytes().filter(|byte| *byte != b' ').map(|byte| byte.to_ascii_lowercase());
    let index = table
        .binary_search_by(|(entry, ..)| entry.bytes().map(|byte| byte.to_ascii_lowercase()).cmp(wanted()))
        .ok()?;
    table.get(index).map(|(_, latitude, longitude)| (f64::from(*latitude), f64::from(*longitude)))
}

/// Also false for `NaN`.
fn is_on_earth((latitude, longitude): Point) -> bool {
    latitude.abs() <= 90.0 && longitude.abs() <= 180.0
}

/// The haversine formula.
fn great_circle_km(from: Point, to: Point) -> f64 {
    let (from_latitude, to_latitude) = (from.0.to_radians(), to.0.to_radians());
    let half_chord = |a: f64, b: f64| ((b - a) / 2.0).sin().powi(2);
    let across = half_chord(from.1.to_radians(), to.1.to_radians());
    let h = half_chord(from_latitude, to_latitude) + from_latitude.cos() * to_latitude.cos() * across;
    // Rounding may take antipodes a little above 1, the limit of the arcsine.
    2.0 * EARTH_RADIUS_KM * h.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nowhere() -> Place {
        Place::default()
    }

    fn at_colo(code: &str) -> Place {
        Place { colo: Some(code.into()), ..nowhere() }
    }

    fn nearer(place: &Place, region: &str, than: &str) -> bool {
        distance_km(place, region).unwrap() < distance_km(place, than).unwrap()
    }

    #[test]
    fn tables_are_sorted_unique_and_on_earth() {
        for table in [REGIONS, COLOS, CONTINENTS] {
            assert!(table.is_sorted_by(|a, b| a.0 < b.0));
            for (name, latitude, longitude) in table {
                assert!(is_on_earth((f64::from(*latitude), f64::from(*longitude))), "{name}");
            }
        }
        // The lookup depends on this.
        assert!(
            regions().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
        );
        assert!(
            COLOS
                .iter()
                .all(|(code, ..)| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()))
        );
    }

    #[test]
    fn known_distances_come_out() {
        // Between the cities, to the nearest 10 km; airports are outside of them.
        for (colo, region, km) in [
            ("LHR", "northeurope", 450.0),
            ("NRT", "westus", 8250.0),
            ("SYD", "brazilsouth", 13_360.0),
            ("AKL", "spaincentral", 19_580.0), // near antipodes
            ("AMS", "westeurope", 10.0),
        ] {
            let distance = distance_km(&at_colo(colo), region).unwrap();
            assert!((distance - km).abs() < 100.0, "{colo} to {region}: {distance}");
        }
    }

    #[test]
    fn the_region_on_this_side_of_the_ocean_is_nearer() {
        for (colo, near, far) in [
            ("AMS", "westeurope", "eastus"),
            ("IAD", "eastus", "westeurope"),
            ("SIN", "southeastasia", "japaneast"),
            ("HNL", "westus", "japaneast"), // across the date line
            ("JNB", "southafricanorth", "uaenorth"),
            ("SSA", "brazilsouth", "eastus2"),
        ] {
            assert!(nearer(&at_colo(colo), near, far), "{colo}");
        }
    }

    #[test]
    fn the_first_known_place_wins() {
        let amsterdam = at_colo("AMS");
        let tokyo = Some((35.7, 139.7));
        for (why, place, near, far) in [
            (
                "continent, where nothing else is known",
                Place { continent: Some("OC".into()), ..nowhere() },
                "australiaeast",
                "westeurope",
            ),
            (
                "colo over continent",
                Place { continent: Some("OC".into()), ..amsterdam.clone() },
                "westeurope",
                "australiaeast",
            ),
            (
                "coordinates over colo",
                Place { coordinates: tokyo, ..amsterdam.clone() },
                "japaneast",
                "westeurope",
            ),
            (
                "hint over coordinates",
                Place { coordinates: tokyo, hint: Some("East US".into()), ..amsterdam.clone() },
                "eastus",
                "japaneast",
            ),
            (
                "a hint may be a colo, in any case",
                Place { coordinates: tokyo, hint: Some("gru".into()), ..amsterdam.clone() },
                "brazilsouth",
                "japaneast",
            ),
            (
                "a hint that nobody knows is passed over",
                Place { coordinates: tokyo, hint: Some("moon".into()), ..amsterdam.clone() },
                "japaneast",
                "westeurope",
            ),
            (
                "coordinates behind a Worker are its own",
                Place { coordinates: tokyo, is_behind_worker: true, ..amsterdam.clone() },
                "westeurope",
                "japaneast",
            ),
            (
                "coordinates that are nowhere are passed over",
                Place { coordinates: Some((f64::NAN, 1e9)), ..amsterdam.clone() },
                "westeurope",
                "japaneast",
            ),
            (
                "a colo that nobody knows is passed over",
                Place { continent: Some("AS".into()), ..at_colo("ZZZ") },
                "eastasia",
                "westeurope",
            ),
        ] {
            assert!(nearer(&place, near, far), "{why}");
        }
    }

    #[test]
    fn what_is_unknown_has_no_distance() {
        assert_eq!(distance_km(&nowhere(), "eastus"), None);
        assert_eq!(distance_km(&at_colo("AMS"), "atlantis"), None);
        let egress = Place {
            coordinates: Some((35.7, 139.7)),
            continent: Some("AS".into()),
            country: Some("JP".into()),
            is_behind_worker: true,
            ..nowhere()
        };
        assert_eq!(distance_km(&egress, "eastus"), None);
    }

    #[test]
    fn a_durable_object_is_to_live_near_the_colo() {
        for (hint, colos) in [
            ("wnam", "SEA SJC LAX DEN PHX YVR ANC HNL GDL"),
            ("enam", "IAD EWR ORD DFW MIA YYZ YHZ MEX SJU KIN PTY SJO"),
            ("sam", "GRU EZE SCL BOG LIM GYE UIO POS PBM FOR"),
            ("weur", "LHR AMS FRA CDG MAD LIS DUB KEF OSL ARN CPH TXL MXP FCO PMO MLA"),
            ("eeur", "WAW VIE OTP PRG BUD ATH SOF HEL KBP DME IST TBS"),
            ("me", "DXB RUH DOH TLV AMM BGW JED MCT LCA"),
            ("afr", "JNB CPT NBO LOS DKR CAI ALG ADD JIB MRU TNR"),
            ("apac", "SIN NRT ICN HKG BOM DEL KHI ALA CGK DPS MNL GUM MLE PKX"),
            ("oc", "SYD PER AKL HBA SUV NOU PPT"),
        ] {
            for colo in colos.split(' ') {
                assert_eq!(location_hint(&at_colo(colo)), hint, "{colo}");
            }
        }
    }

    #[test]
    fn without_a_colo_a_durable_object_is_to_live_on_the_continent() {
        for (continent, hint) in [
            ("NA", "enam"),
            ("SA", "sam"),
            ("EU", "weur"),
            ("AS", "apac"),
            ("OC", "oc"),
            ("AF", "afr"),
            ("XX", "enam"),
        ] {
            let place = Place { continent: Some(continent.into()), ..at_colo("ZZZ") };
            assert_eq!(location_hint(&place), hint, "{continent}");
        }
        assert_eq!(location_hint(&nowhere()), "enam");
    }

    #[test]
    fn where_the_client_is_moves_no_durable_object() {
        let tokyo = Place {
            coordinates: Some((35.7, 139.7)),
            continent: Some("AS".into()),
            hint: Some("japaneast".into()),
            ..at_colo("AMS")
        };
        assert_eq!(location_hint(&tokyo), "weur");
    }

    #[test]
    fn regions_are_known_by_either_of_their_names() {
        for name in ["westeurope", "West Europe", "WESTEUROPE", "swedencentral", "East US 2", "usgovvirginia"]
        {
            assert!(is_region(name), "{name}");
        }
        for name in ["", " ", "europe", "west-europe", "westeurope3", "AMS"] {
            assert!(!is_region(name), "{name}");
        }
        assert!(regions().all(is_region));
    }

    proptest! {
        #[test]
        fn every_distance_is_possible_on_earth(
            latitude in -90.0..=90.0_f64, longitude in -180.0..=180.0_f64, region in 0..REGIONS.len(),
        ) {
            let place = Place { coordinates: Some((latitude, longitude)), ..nowhere() };
            let km = distance_km(&place, REGIONS[region].0).unwrap();
            prop_assert!((0.0..=20_016.0).contains(&km));
        }

        #[test]
        fn any_string_may_be_a_name(hint in ".*", region in ".*") {
            let place = Place { hint: Some(hint), ..nowhere() };
            let _ = distance_km(&place, &region);
        }
    }
}
