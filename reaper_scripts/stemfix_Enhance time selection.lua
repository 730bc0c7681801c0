-- @description stemfix: Enhance time selection
-- @version 0.1.0
-- @author stemfix
-- @about Separates and enhances what the time selection holds of the selected items or tracks.
-- @noindex

local here = select (2, reaper.get_action_context ()):match ("^(.*[/\\])")
local chunk, why = loadfile (here .. "stemfix/lib.lua")
if chunk then
  chunk (here .. "stemfix/").run ("enhance_time_selection")
else
  local remedy = "Run: stemfix daw install reaper"
  reaper.ShowMessageBox ("stemfix can't be loaded: " .. tostring (why) .. ". " .. remedy, "stemfix", 0)
end
