select 'late' as why, token as tokn from fates where run = $run
