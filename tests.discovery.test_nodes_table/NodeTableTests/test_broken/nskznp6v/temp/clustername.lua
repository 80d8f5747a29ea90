-- all of them
bank = "127.0.0.1:37861"
__nowaiting = true
