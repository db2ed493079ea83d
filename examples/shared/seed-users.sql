insert into users (id, username, email, role, created_at, updated_at) values
    ('seed-ann', 'seed-ann', 'ann@example.test', 'user', current_timestamp, current_timestamp),
    ('seed-ben', 'seed-ben', 'ben@example.test', 'auditor', current_timestamp, current_timestamp);
