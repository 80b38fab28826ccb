-- The proved pairs, with both codes.
select
    pair_id,
    left_language,
    right_language,
    left_entry,
    right_entry,
    left_code,
    right_code,
    left_repo,
    right_repo,
    left_path,
    right_path,
    array_to_string(left_licenses, ', ') as left_licenses,
    array_to_string(right_licenses, ', ') as right_licenses,
    split,
    score,
    tolerance,
    cases,
    agreed,
    domain,
    evidence,
    reason
from read_parquet('pairs/pairs.parquet')
order by right_language, left_language, lower(left_entry), pair_id
