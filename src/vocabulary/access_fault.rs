//! What is wrong with a token of Cloudflare Access.

/// Why a token of Cloudflare Access says nothing about who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessFault {
    /// It is no JWT with a key id, an issuer, an audience and an end.
    Malformed,
    /// It is not signed with RS256.
    Algorithm,
    /// It comes from another team.
    Issuer,
    /// It is meant for another application.
    Audience,
    /// It has ended.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It names neither a person nor a service.
    Nameless,
    /// The team has no such key.
    UnknownKey,
    /// The signature is not that of the key.
    Signature,
    /// The keys of the team cannot be read.
    KeysUnavailable,
}

impl AccessFault {
    /// Every fault.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::Algorithm,
        Self::Issuer,
        Self::Audience,
        Self::Expired,
        Self::NotYetValid,
        Self::Nameless,
        Self::UnknownKey,
        Self::Signature,
        Self::KeysUnavailable,
    ];

    /// The status of the error.
    pub fn status(self) -> u16 {
        if self == Self::KeysUnavailable { 503 } else { 401 }
    }

    /// The code of the error.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "access_token_malformed",
            Self::Algorithm => "access_token_algorithm",
            Self::Issuer => "access_token_issuer",
            Self::Audience => "access_token_audience",
            Self::Expired => "access_token_expired",
            Self::NotYetValid => "access_token_not_yet_valid",
            Self::Nameless => "access_token_nameless",
            Self::UnknownKey => "access_token_unknown_key",
            Self::Signature => "access_token_signature",
            Self::KeysUnavailable => "access_keys_unavailable",
        }
    }

    /// What is wrong, and what helps.
    pub fn message(self) -> &'static str {
        match self {
            Self::Malformed => "is no JWT with kid, iss, aud and exp",
            Self::Algorithm => "is not signed with RS256",
            Self::Issuer => "is not of the team in ACCESS_TEAM_DOMAIN",
            Self::Audience => "is for another application: ACCESS_AUD does not have its aud",
            Self::Expired => "has expired: sign in again",
            Self::NotYetValid => "is not valid yet: a clock may be wrong",
            Self::Nameless => "has no email and no common_name",
            Self::UnknownKey => {
                "is signed with a key that its team does not have, or that is less than a minute old"
            }
            Self::Signature => "has a wrong signature",
            Self::KeysUnavailable => {
                "cannot be verified: the keys at /cdn-cgi/access/certs of ACCESS_TEAM_DOMAIN cannot be read. Try again \
                 in a minute, or send the value of ADMIN_TOKEN"
            }
        }
    }
}
