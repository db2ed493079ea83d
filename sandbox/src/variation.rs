//! Platforms that differ from the reference and are right all the same: a plan must pass on each of them.
use std::str::FromStr;

macro_rules! catalogue {
    ($($variation:ident $name:literal $description:literal)*) => {
        /// A difference that can be switched on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Variation {
            $($variation,)*
        }

        impl Variation {
            pub const ALL: &[Variation] = &[$(Variation::$variation,)*];

            pub fn name(self) -> &'static str {
                match self { $(Variation::$variation => $name,)* }
            }

            /// What is different, as a sentence without a full stop.
            pub fn description(self) -> &'static str {
                match self { $(Variation::$variation => $description,)* }
            }
        }
    };
}

catalogue! {
    Create201 "create-201" "a create returns 201 instead of 202"
    Delete204 "delete-204" "a delete returns 204 without a body"
    UpdateEmpty "update-empty" "an update returns 200 without a body"
    Gone410 "gone-410" "a session that existed once returns 410 instead of 404"
    Refuses422 "refuses-422" "an invalid request is refused with 422 instead of 400"
    ListsReversed "lists-reversed" "lists are in the reverse order"
    OtherZone "other-zone" "times have an offset of 5 h 30 min instead of Z"
    ExtraFields "extra-fields" "every object has fields that the plan does not know"
    LongMessages "long-messages" "error messages are longer, and quote the request"
    Charset "charset" "the content type has a charset"
    Indented "indented" "JSON is indented"
    ManyHeaders "many-headers" "responses have forty further headers"
    Slow "slow" "every response takes 150 ms longer"
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown variation `{0}`")]
pub struct UnknownVariation(pub String);

impl FromStr for Variation {
    type Err = UnknownVariation;

    fn from_str(name: &str) -> Result<Variation, UnknownVariation> {
        Variation::ALL.iter().copied().find(|v| v.name() == name).ok_or_else(|| UnknownVariation(name.to_owned()))
    }
}
