//! Which PostgreSQL types can be encoded and decoded in the binary format.
use sqlx::{
    TypeInfo,
    postgres::{PgTypeInfo, PgTypeKind},
};

/// Whether values of this type can be decoded from the binary format. Others are requested as text.
pub fn has_binary_format(ty: &PgTypeInfo) -> bool {
    if is_unresolved(ty) {
        return false;
    }
    match ty.kind() {
        PgTypeKind::Domain(inner) => has_binary_format(inner),
        PgTypeKind::Array(of) => has_binary_format(of),
        PgTypeKind::Enum(_) => true,
        PgTypeKind::Simple | PgTypeKind::Pseudo => BINARY_TYPES.contains(&ty.name().to_lowercase().as_str()),
        _ => false,
    }
}

/// Whether the library has not looked up the type, as in scripts. It then panics on every other method of the type.
pub fn is_unresolved(ty: &PgTypeInfo) -> bool {
    ty.name() == "?"
}

const BINARY_TYPES: &[&str] = &[
    "bool",
    "int2",
    "int4",
    "int8",
    "oid",
    "float4",
    "float8",
    "numeric",
    "text",
    "varchar",
    "char",
    "bpchar",
    "\"char\"",
    "name",
    "xml",
    "unknown",
    "uuid",
    "json",
    "jsonb",
    "timestamptz",
    "timestamp",
    "date",
    "time",
    "timetz",
    "interval",
    "bytea",
    "void",
    "citext",
    "inet",
    "cidr",
];
