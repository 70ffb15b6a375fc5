//! Ranges of IP addresses.

use std::net::IpAddr;

/// Addresses with the same first bits. IPv4 addresses stand as IPv6 addresses (`::ffff:a.b.c.d`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    first: u128,
    bits: u32,
}

impl AddressRange {
    /// A range in the notation of CIDR, or one address. `None` if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(text, bits)| (text, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => all,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
        };
        (bits <= all).then_some(Self { first: number(address), bits: 128 - all + bits })
    }

    /// Whether the range has this address, given as text.
    pub fn has(self, address: &str) -> bool {
        let address = address.trim().parse().map(number);
        address.is_ok_and(|address| (address ^ self.first).checked_shr(128 - self.bits).unwrap_or(0) == 0)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::AddressRange;

    #[test]
    fn a_range_has_the_addresses_with_its_first_bits() {
        for (range, address, expected) in [
            ("203.0.113.7", "203.0.113.7", true),
            ("203.0.113.7", "203.0.113.8", false),
            ("203.0.113.0/24", "203.0.113.255", true),
            ("203.0.113.0/24", "203.0.114.0", false),
            // The other bits of the range do not matter.
            ("203.0.113.9/24", "203.0.113.1", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "8.8.8.8", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("2001:DB8::1", "2001:db8:0:0::1", true),
            // An IPv4 address in an IPv6 one.
            ("203.0.113.0/24", "::ffff:203.0.113.7", true),
            ("203.0.113.0/24", "", false),
            ("203.0.113.0/24", "203.0.113", false),
        ] {
            assert_eq!(AddressRange::parse(range).unwrap().has(address), expected, "{range} {address}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in
            ["", "a", "1.2.3", "1.2.3.4/33", "::1/129", "1.2.3.4/", "1.2.3.4/+8", "1.2.3.4/-1", "1.2.3.4:80"]
        {
            assert_eq!(AddressRange::parse(text), None, "{text}");
        }
    }
}
