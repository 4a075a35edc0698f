-- No transactional message is later than the promise, fault or no fault. Each one that the system took is looked at, from
-- when it was offered: on a busy machine that may be later than it was due, and no fault of the system's.
with waits as (
    select m.token, m.recipient, m.copy_ns, m.copy_route,
           coalesce(m.copy_ns, r.watch_end_ns) - greatest(m.scheduled_ns, m.first_offer_ns) as waited_ns
    from fates m join runs r using (run)
    where m.run = $run and m.class = 'transactional' and m.result = 'accepted' and not m.baseline
      and m.state is distinct from 'held'
)
select token, recipient,
       waited_ns as severity,
       case when waited_ns > duration_ns($promise)
            then printf('%.1f s after it was offered, and %s was promised', waited_ns / 1e9, $promise) end as why,
       case when copy_ns is null then 'never arrived' else 'late by ' || copy_route end as cause
from waits
