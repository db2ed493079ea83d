delete from users where id in ('seed-ann', 'seed-ben');
