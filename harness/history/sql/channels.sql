-- Messages that went out by another channel than mail: an SMS, a note in the application.

-- One row per message of which a provider took a copy for somebody who is no mail address, as the phone number of a
-- fallback channel: such a copy is known by the token alone, and belongs to no message's own recipient.
create table fallbacks as
select run, token, min(end_ns) as fallback_ns, arg_min(route, (end_ns, seq)) as fallback_route,
       arg_min(error_ns, (end_ns, seq)) as fallback_error_ns
from copies where known and scheduled_ns is null group by run, token;
