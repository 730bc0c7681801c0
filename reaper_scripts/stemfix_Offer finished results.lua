-- @description stemfix: Offer finished results
-- @version 0.1.0
-- @author stemfix
-- @about For REAPER's start: offers stems that got finished while their project was closed.
-- @noindex

local here = select (2, reaper.get_action_context ()):match ("^(.*[/\\])")
local chunk, why = loadfile (here .. "stemfix/lib.lua")
if chunk then
  chunk (here .. "stemfix/").run ("startup")
else
  local remedy = "Run: stemfix daw install reaper"
  reaper.ShowMessageBox ("stemfix can't be loaded: " .. tostring (why) .. ". " .. remedy, "stemfix", 0)
end
