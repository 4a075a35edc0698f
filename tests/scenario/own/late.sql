select token, case when copy_ns - scheduled_ns > duration_ns($within) then 'it was late' end as why
from fates where run = $run
