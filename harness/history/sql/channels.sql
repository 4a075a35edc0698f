-- What went out by another channel than mail: an SMS, a note in the application, an announcement on a status page.

-- One row per message of which a provider took a hand-off for somebody who is no mail address, as the phone number of a
-- fallback channel: such a one is known by the token alone, and belongs to no message's own recipient. fallback_ns is
-- null where the provider gave back, or threw away, all that it took.
create table fallbacks as
select h.run, h.token, min(h.end_ns) filter (u.seq is null) as fallback_ns,
       arg_min(h.route, (h.end_ns, h.seq)) filter (u.seq is null) as fallback_route,
       arg_min(h.error_ns, (h.end_ns, h.seq)) filter (u.seq is null) as fallback_error_ns,
       min(h.end_ns) as fallback_taken_ns, coalesce(bool_or(u.event = 'bounced'), false) as fallback_bounced
from handoffs h left join _undone u on u.run = h.run and u.seq = h.seq
where h.known and h.scheduled_ns is null group by h.run, h.token;

-- One row per span in which a status page told of what the system had announced there; until_ns is null where nothing
-- ended it.
create view announcements as
with changes as (
    select *, lag(announced, 1, false) over (partition by run, route order by end_ns, seq) as before
    from calls where announced is not null
)
select run, route, end_ns as from_ns, lead(end_ns) over (partition by run, route order by end_ns, seq) as until_ns, error_ns
from changes where announced <> before qualify announced;
